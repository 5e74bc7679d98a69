"""The page's first tab after a run, as docs/app.md shows it.

python docs/images/draw_app.py      # writes app_between.webp; needs chromium and "gen_inbetween[test-app]"
"""

from __future__ import annotations

import io
import shutil
import socket
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from gen_inbetween.app.page.page import serve
from gen_inbetween.app.page.settings import PageSettings

FOLDER = Path(__file__).resolve().parent
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
LONG = 300_000  # ms


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as work, sync_playwright() as driver:
        blocks = serve(PageSettings(folder=Path(work)), port=port, wait=False)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(LONG)
        page.goto(f"http://127.0.0.1:{port}")
        page.get_by_role("button", name="Try two drawings").click()
        for place in ("first", "last"):
            page.wait_for_selector(f"#between-{place} img")
        page.click("#between-go")
        page.wait_for_selector("#between-clip video")
        page.wait_for_function("document.querySelector('#between-status').innerText.startsWith('Done')")
        page.wait_for_function("document.querySelector('#between-clip video').readyState >= 2")
        page.evaluate("const film = document.querySelector('#between-clip video'); film.pause(); film.currentTime = 1")
        page.mouse.move(5, 5)
        page.wait_for_timeout(1500)
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
        blocks.close(verbose=False)
    picture.convert("RGB").save(FOLDER / "app_between.webp", quality=88)


if __name__ == "__main__":
    main()
