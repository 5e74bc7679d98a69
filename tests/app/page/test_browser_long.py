"""Every tab in a real browser, as somebody uses it: minutes, so `make test-all` runs it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from page_cases import (
    browser,
    drop,
    film_of_scene,
    nothing_bars_people,
    pair_of_pictures,
    put_on_easel,
    served,
    shot,
    status_of,
    visit,
    wait_for_status,
)

from gen_inbetween.media.clip import Clip
from gen_inbetween.media.video import open_source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(tmp_path_factory.mktemp("page")) as where:
        yield where


@pytest.fixture
def context(tmp_path):
    with browser(tmp_path / "profile") as opened:
        yield opened


def download(page, element, path):
    with page.expect_download() as waiting:
        page.click(element)
    waiting.value.save_as(path)
    return path


def paint(page, element, start, end, size):
    """A stroke by the mouse, from one point of the picture to another, as slow as a hand's; size: of the picture.

    The editor shows the picture in its middle, at the zoom it says; the tools stand at its left.
    """
    canvas = page.locator(f"#{element} canvas").first.bounding_box()
    zoom = page.locator(f"#{element}").get_by_text(re.compile(r"^\s*\d+%\s*$")).first.inner_text()
    scale = int(zoom.strip().removesuffix("%")) / 100
    left = canvas["x"] + (canvas["width"] - scale * size[0]) / 2
    top = canvas["y"] + (canvas["height"] - scale * size[1]) / 2
    page.mouse.move(left + scale * start[0], top + scale * start[1])
    page.wait_for_timeout(200)
    page.mouse.down()
    for part in np.linspace(0, 1, 6):
        at = [(1 - part) * a + part * b for a, b in zip(start, end, strict=True)]
        page.mouse.move(left + scale * at[0], top + scale * at[1])
        page.wait_for_timeout(60)
    page.mouse.up()
    page.wait_for_timeout(200)


def test_the_bundled_model_runs_to_its_end_and_goes_on(address, context, tmp_path):
    page = visit(context, address)
    page.click("#between-example")
    page.wait_for_selector("#between-last img")
    page.click("#between-go")
    wait_for_status(page, "between", "Step 1", "Step 2", "Step 3")
    page.wait_for_selector("#between-strip img")
    wait_for_status(page, "between", "Done", seconds=600)
    clip = Clip.open(download(page, "#between-download", tmp_path / "clip.mp4"))
    assert clip.size == (64, 64) and clip.manifest["settings"]["model"] == "pocket-2"
    shot(page, "app_between")
    nothing_bars_people(page)
    page.click("#between-onward")
    page.wait_for_selector("#between-last input[type=file]", state="attached")  # an empty place again


def test_stop_stops_at_the_next_step_and_two_people_take_turns(address, tmp_path):
    first, last = pair_of_pictures(tmp_path)
    with browser(tmp_path / "profile") as ann:
        long, short = visit(ann, address), visit(ann, address)
        long.click("#between-example")
        long.wait_for_selector("#between-last img")
        long.click("#between-go")
        wait_for_status(long, "between", "Step ")
        drop(short, "between-first", first)
        drop(short, "between-last", last)
        short.click("#between-go")
        assert wait_for_status(short, "between", "Waiting") == "Waiting: 1 before yours"
        short.wait_for_function("document.querySelector('#line').innerText.includes('Waiting: 1')")
        long.click("#between-stop")
        assert "Stopped at" in wait_for_status(long, "between", "Stopped")
        assert "Interpolated" in wait_for_status(short, "between", "Done")  # each has its own
        assert status_of(long, "between").startswith("Stopped")


def test_a_browser_that_is_closed_gives_the_machine_back(address, tmp_path):
    with browser(tmp_path / "one") as gone:
        page = visit(gone, address)
        page.click("#between-example")
        page.wait_for_selector("#between-last img")
        page.click("#between-go")
        wait_for_status(page, "between", "Step ")
    with browser(tmp_path / "two") as other:
        page = visit(other, address)
        page.wait_for_function("document.querySelector('#line').innerText.includes('The machine is free')")


def test_a_page_at_work_asks_before_it_is_left_and_the_words_of_clips_stay(address, context):
    """Reloading stops the run. A card under the mouse showed its words in pale grey, or not at all."""
    page, asked = visit(context, address), []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.click("#between-example")
    page.wait_for_selector("#between-last img")
    page.get_by_label("4", exact=True).locator("visible=true").check()
    page.get_by_role("button", name="Settings, named as in the command").locator("visible=true").click()
    page.get_by_label("--steps").locator("visible=true").fill("1")
    page.get_by_label("--frames").locator("visible=true").fill("4")
    page.click("#between-go")
    wait_for_status(page, "between", "Done")
    page.locator("#between-tries .thumbnail-item").first.hover()
    page.wait_for_timeout(1000)
    assert page.eval_on_selector("#between-tries .caption-label", "label => getComputedStyle(label).opacity") == "1"
    page.get_by_label("--steps").locator("visible=true").fill("100")
    page.click("#between-go")
    wait_for_status(page, "between", "Clip 1 of 4, step")
    page.reload()
    assert asked == ["beforeunload"]
    page.wait_for_selector("#line :text('The machine is free')")
    page.reload()
    assert asked == ["beforeunload"], "nothing is lost by leaving a page at rest"


def test_a_film_of_five_seconds_is_retimed(address, context, tmp_path):
    page = visit(context, address, "Film")
    drop(page, "film-film", film_of_scene(tmp_path / "walk.mp4"))
    page.fill("#film-fps input, #film-fps textarea", "20")
    page.click("#film-go")
    assert wait_for_status(page, "film", "Done") == "Done: 100 frames, 20 a second, 5.0 s."
    source = open_source(download(page, "#film-download", tmp_path / "new.mp4"))
    assert source.fps == 20 and len(source.times) == 100
    page.wait_for_selector("#film-slider img")
    shot(page, "app_film")
    nothing_bars_people(page)
    before, after = (image.bounding_box() for image in page.locator("#film-slider img").all())
    box = page.locator("#film-slider").bounding_box()
    assert before == after and box["y"] <= before["y"] and before["height"] <= box["height"]
    page.fill("#film-fps input, #film-fps textarea", "many")
    page.click("#film-go")
    said = wait_for_status(page, "film", "Fps is a number")
    assert "many" in said and page.get_attribute("#film-status .run-status", "role") == "alert"


def test_a_thing_is_painted_by_mouse_and_moves(address, context, tmp_path):
    first, last = pair_of_pictures(tmp_path)
    page = visit(context, address, "Move things")
    put_on_easel(page, "things-first", first)
    drop(page, "things-last", last)
    page.wait_for_timeout(2000)
    page.locator("#things-first button[aria-label='Brush']").first.click()
    page.wait_for_timeout(1000)
    for row in range(34, 70, 6):
        paint(page, "things-first", (24, row), (58, row), (192, 128))
    page.wait_for_timeout(1000)
    page.click("#things-go")
    wait_for_status(page, "things", "Done")
    page.wait_for_selector("#things-found img")
    shot(page, "app_things")
    nothing_bars_people(page)
    clip = Clip.open(download(page, "#things-download", tmp_path / "clip.mp4"))
    assert len(clip) == 25 and len(clip.manifest["masks"] if "masks" in clip.manifest else [1]) == 1


def test_a_painted_frame_spreads_over_a_film(address, context, tmp_path):
    page = visit(context, address, "Style")
    drop(page, "style-film", film_of_scene(tmp_path / "walk.mp4", seconds=1))
    page.click("#style-take")
    page.wait_for_timeout(3000)
    page.click("#style-keep")
    wait_for_status(page, "style", "Kept as frame 0")
    page.get_by_role("button", name="Settings, named as in the command").locator("visible=true").click()
    page.get_by_label("--steps").locator("visible=true").fill("10")
    page.click("#style-go")
    wait_for_status(page, "style", "Done", seconds=400)
    shot(page, "app_style")
    nothing_bars_people(page)
    assert len(Clip.open(download(page, "#style-download", tmp_path / "styled.mp4"))) == 10


def test_methods_are_compared(address, context, tmp_path):
    first, last = pair_of_pictures(tmp_path)
    page = visit(context, address, "Compare")
    drop(page, "compare-first", first)
    drop(page, "compare-last", last)
    page.click("#compare-go")
    wait_for_status(page, "compare", "Done")
    assert page.locator("#compare-clips img").count() == 2
    page.wait_for_selector("#compare-sheet img")
    shot(page, "app_compare")
    nothing_bars_people(page)
    page.get_by_label("vibid").check()
    page.click("#compare-go")
    assert "no svd-xt weights here" in wait_for_status(page, "compare", "Vibid need")


def test_by_keyboard_alone_a_run_is_begun_and_stopped(address, context):
    page = visit(context, address)
    page.focus("#between-example")
    page.keyboard.press("Enter")
    page.wait_for_selector("#between-last img")
    page.focus("#between-go")
    page.keyboard.press("Space")
    page.wait_for_function("document.activeElement.id === 'between-stop'")  # not lost with the button that went grey
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    wait_for_status(page, "between", "Step ")
    page.keyboard.press("Enter")
    wait_for_status(page, "between", "Stopped")
    page.wait_for_function("document.activeElement.id === 'between-go'")


def test_a_file_that_is_no_picture_is_named(address, context, tmp_path):
    (tmp_path / "notes.png").write_text("dear diary")
    first, last = pair_of_pictures(tmp_path)
    page = visit(context, address)
    drop(page, "between-first", first)
    with page.expect_response(lambda response: "/upload?" in response.url and response.ok):
        page.set_input_files("#between-last input[type=file]", tmp_path / "notes.png")
    page.wait_for_timeout(1000)
    page.click("#between-go")
    assert "Notes.png is not an image" in wait_for_status(page, "between", "Notes.png")


TABS = ("Between pictures", "Film", "Move things", "Style", "Compare")


@pytest.mark.parametrize("tab", TABS)
def test_nothing_serious_bars_people(address, context, tab):
    nothing_bars_people(visit(context, address, tab))


@pytest.mark.parametrize("tab", TABS)
def test_nothing_is_wider_than_a_phone(address, context, tab):
    page = visit(context, address)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(1000)
    if not page.get_by_role("tab", name=tab).is_visible():
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text=tab).click()
    page.wait_for_timeout(1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
