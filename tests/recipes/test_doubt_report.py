"""The report on doubt: every frame is drawn and judged once, films of others are named by number alone."""

from __future__ import annotations

import json

import doubt_report
import numpy as np
import pytest
from doubt_cases import jumping_film

from gen_inbetween.evaluation.interpolators.doubt import DoubtTrial, detection, judge_middle, rank_correlation
from gen_inbetween.interpolation import load_interpolator


def trial(doubt, doubled, film="a", error=0.0):
    return DoubtTrial(film, 2, doubt, 0.0, 0.0, error, 30.0, doubled)


def test_the_report_stands_and_names_no_film_of_others(tmp_path):
    (tmp_path / "films").mkdir()
    jumping_film(tmp_path / "films", "secret.mp4")
    arguments = ["--root", str(tmp_path), "--films", str(tmp_path / "films"), "--film-windows", "1", "--worlds", "1"]
    doubt_report.main([*arguments, "--output", str(tmp_path / "doubt.md")])
    text = (tmp_path / "doubt.md").read_text()
    lines = (tmp_path / "doubt" / "trials.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 2 * 2 * len(doubt_report.GAPS) and {row["film"] for row in rows} >= {"clip 0"}
    assert "1 real clips" in text and "package" not in text.split("## Rank")[1]
    assert not any("secret" in part for part in (*lines, text.split("## Rank")[1]))
    assert (tmp_path / "doubt" / "scatter.png").stat().st_size > 5000


def test_a_cross_fade_of_a_moved_thing_is_doubled_and_the_truth_is_not():
    frames = np.full((3, 64, 64, 3), 60, np.uint8)
    for number, place in enumerate((4, 24, 44)):
        frames[number, 20:36, place : place + 16] = 240
    error, psnr, doubled = judge_middle(frames, load_interpolator("blend"))
    assert (
        error > 80 and psnr < 20 and doubled == pytest.approx(2 * 16 * 16 / 64**2, rel=0.5)
    )  # the windows reach over its edges
    still = np.repeat(frames[:1], 3, 0)
    assert judge_middle(still, load_interpolator("blend")) == (0.0, pytest.approx(78.1, abs=0.1), 0.0)


def test_correlations_count_films_and_limits_count_frames():
    values = rank_correlation([1, 2, 3, 4, 5, 6], [1, 4, 9, 16, 25, 36], list("aabbcc"))
    assert values.mean == pytest.approx(1) and values.low == pytest.approx(1) and values.count == 3
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3], list("abc")).mean)
    trials = [trial(10, 0.0), trial(30, 0.01), trial(40, 0.0), trial(5, 0.01)]
    assert detection(trials, 24) == (2, 0.5, 0.5)
    assert np.isnan(detection(trials[:1], 24)[1:]).all()
