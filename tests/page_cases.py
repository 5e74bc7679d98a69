"""A page served in this process, a browser to look at it, and things to drop on it."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("gradio", reason='the page needs gradio: pip install "gen_inbetween[app]"')

from gen_inbetween.app.page.page import serve
from gen_inbetween.app.page.settings import PageSettings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader"
).split()  # the last three: the editor of masks draws by WebGL
LONG = 180_000  # ms that a busy machine may take


@contextmanager
def served(folder, *, auth=None, **settings):
    """(address, page) of a page on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    blocks = serve(PageSettings(folder=folder, **settings), port=port, auth=auth, wait=False)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        blocks.close(verbose=False)


@contextmanager
def browser(profile, **options):
    """A context of Chromium with a new profile, whose requests to other places than this machine fail the test."""
    playwright = pytest.importorskip("playwright.sync_api", reason='pip install "gen_inbetween[test-app]"')
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1280, "height": 900}, **options
        )
        context.set_default_timeout(LONG)
        asked = []
        context.on("request", lambda request: asked.append(request.url))
        yield context
        context.close()
    local = ("http://127.0.0.1:", "data:", "blob:")
    assert [url for url in asked if not url.startswith(local)] == []


def visit(context, address, tab="Between pictures"):
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#between-go")
    page.get_by_role("tab", name=tab).click()
    return page


def status_of(page, tab):
    return page.inner_text(f"#{tab}-status .run-status").strip()


def wait_for_status(page, tab, *starts, seconds=180):
    """The status once it begins with one of these."""
    end = time.monotonic() + seconds
    while not (said := status_of(page, tab)).startswith(starts):
        assert time.monotonic() < end, f"{tab} says {said!r} after {seconds} s"
        page.wait_for_timeout(100)
    return said


def drop(page, element, path):
    """Choose a file in a drop zone, and wait until it is there and the server has it.

    Not until the network is idle: the page keeps a stream of events open, so that hour may never come.
    """
    with page.expect_response(lambda response: "/upload?" in response.url and response.ok):
        page.set_input_files(f"#{element} input[type=file]", str(path))
    page.wait_for_selector(f"#{element} img, #{element} video, #{element} canvas")


def put_on_easel(page, element, path):
    """Choose a picture in an editor, which keeps it in the browser; before its tools are there it would be lost."""
    page.wait_for_selector(f"#{element} button[aria-label='Brush']")
    page.set_input_files(f"#{element} input[type=file]", str(path))
    page.wait_for_selector(f"#{element} :text('Upload an image')", state="hidden")


def shot(page, name):
    """A picture of the page for docs/images, where $GEN_INBETWEEN_SCREENS names a folder."""
    if folder := os.environ.get("GEN_INBETWEEN_SCREENS"):
        page.wait_for_timeout(1500)
        picture = Image.open(io.BytesIO(page.screenshot(timeout=LONG)))
        picture.save(Path(folder) / f"{name}.webp", quality=75, method=6)


def nothing_bars_people(page):
    """axe-core, serious and critical findings of WCAG 2 A and AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason='pip install "gen_inbetween[test-app]"')
    page.wait_for_timeout(1000)  # colours fade in
    options = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa"]}, "resultTypes": ["violations"]}
    found = axe.Axe().run(page, options=options).response["violations"]
    serious = {
        each["id"]: [node["html"][:160] for node in each["nodes"]]
        for each in found
        if each["impact"] in ("serious", "critical")
    }
    assert serious == {}, json.dumps(serious, indent=1)


def scene(place, size=(192, 128)):
    """A red ball and a blue box on a textured ground, moved by `place` in 0 to 1."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    ground = 150 + 40 * np.sin(rows / 7) + 40 * np.cos(columns / 9)
    picture = Image.fromarray(np.repeat(ground.clip(0, 255).astype(np.uint8)[..., None], 3, -1))
    draw = ImageDraw.Draw(picture)
    x = 40 + 30 * place
    draw.ellipse([x - 20, 30, x + 20, 70], fill="red")
    draw.rectangle([120, 80 - 20 * place, 150, 110 - 20 * place], fill="blue")
    return picture


def pair_of_pictures(folder):
    paths = [folder / name for name in ("first.png", "last.png")]
    for place, path in enumerate(paths):
        scene(place).save(path)
    return paths


def film_of_scene(path, seconds=5, fps=10):
    from gen_inbetween.media.video_writer import write_video

    count = round(seconds * fps)
    return write_video([scene(k / (count - 1)) for k in range(count)], path, fps)
