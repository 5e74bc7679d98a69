"""eval/film_report.py: what the record holds of a film is of the windows that are asked for."""

from __future__ import annotations

import json

import film_report
import numpy as np
import pytest


@pytest.fixture
def draw_one(tmp_path, monkeypatch):
    """A run of one film of a hundred frames; how many measurements it came to."""
    measured: list[int] = []
    moments = lambda film, count, shape, longest: count * [np.zeros(1)]  # noqa: E731
    monkeypatch.setattr(film_report, "film_windows", moments)
    monkeypatch.setattr(film_report, "measured", lambda *_: measured.append(1) or {"psnr": 1.0})
    monkeypatch.setattr(film_report, "SIZES", {"270p": (480, 270)})
    (tmp_path / "film.mp4").write_bytes(b"film")

    def run(*choice: int) -> int:
        measured.clear()
        film_report.draw_film(tmp_path / "film.mp4", "mine", choice, {}, None, tmp_path / "windows.jsonl")
        return len(measured)

    return run


def test_windows_are_measured_once_and_others_are_not_taken_for_them(draw_one, tmp_path):
    assert [draw_one(1, 240), draw_one(1, 240), draw_one(2, 240), draw_one(1, 90), draw_one(2, 240)] == [1, 0, 2, 1, 0]
    record = tmp_path / "windows.jsonl"
    assert [len(film_report.read(record, choice)) for choice in ((1, 240), (2, 240), (1, 90), (3, 3))] == [1, 2, 1, 0]


def test_a_line_that_does_not_say_is_of_the_usual_windows(tmp_path):
    record = tmp_path / "windows.jsonl"
    record.write_text(json.dumps({"film": "a"}) + "\n")
    assert film_report.read(record, film_report.USUAL) == [{"film": "a"}]
    assert film_report.read(record, (7, 240)) == []
