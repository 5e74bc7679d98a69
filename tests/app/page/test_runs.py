"""Files of the page's runs: which leave, and which are needed still."""

import os
import time

import pytest

pytest.importorskip("gradio")
from gen_inbetween.app.page.runs import Page, uploads_in
from gen_inbetween.app.page.settings import PageSettings


@pytest.fixture
def page(tmp_path):
    made = Page(PageSettings(folder=tmp_path, keep_hours=1), None, None)
    made.files.mkdir()
    return made


def old_file(page, name):
    """A file that was put into a folder of its own two hours ago."""
    folder = page.files / name
    folder.mkdir()
    (folder / "film.mp4").touch()
    before = time.time() - 7200
    os.utime(folder, (before, before))
    return folder / "film.mp4"


def test_a_run_that_takes_longer_than_results_are_kept_keeps_its_folder(page):
    at_work = old_file(page, "run-1")
    page.new_folder()  # somebody takes a drawn film, or keeps a painted frame
    assert at_work.is_file()


def test_as_a_run_begins_what_is_old_leaves_but_for_its_own_uploads(page):
    old, painted, waited, fresh = old_file(page, "run-1"), old_file(page, "b"), old_file(page, "c"), page.new_folder()
    page.tidy(uploads_in([str(waited), {3: str(painted)}, "0:0,1/2:1", 7, None]))
    assert waited.is_file() and painted.is_file() and fresh.is_dir() and not old.exists()
