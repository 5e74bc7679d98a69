"""The page in a real browser, the short way: two pictures, a clip, its files, an error; no request leaves."""

from __future__ import annotations

import json

import pytest
from page_cases import browser, drop, pair_of_pictures, served, visit, wait_for_status

from gen_inbetween.media.clip import Clip


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(tmp_path_factory.mktemp("page")) as where:
        yield where


def test_two_pictures_become_a_clip_to_download(address, tmp_path):
    first, last = pair_of_pictures(tmp_path)
    with browser(tmp_path / "profile") as context:
        page = visit(context, address)
        page.click("#between-go")
        assert "missing here" in wait_for_status(page, "between", "The first and the last picture")
        assert page.get_attribute("#between-status .run-status", "role") == "alert"
        drop(page, "between-first", first)
        drop(page, "between-last", last)
        page.click("#between-go")
        said = wait_for_status(page, "between", "Done")
        assert "Interpolated, since there is no GPU" in said
        page.wait_for_selector("#between-clip video")
        with page.expect_download() as download:
            page.click("#between-download")
        download.value.save_as(tmp_path / "clip.mp4")
        with page.expect_download() as download:
            page.click("#between-manifest")
        download.value.save_as(tmp_path / "clip.json")
        clip, manifest = Clip.open(tmp_path / "clip.mp4"), json.loads((tmp_path / "clip.json").read_text())
        assert clip.size == (192, 128) and len(clip) == 25
        assert manifest["interpolator"]["name"] == "dis-splat"
        assert str(tmp_path) not in json.dumps(manifest)  # no folder of the machine
