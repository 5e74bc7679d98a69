"""Distances between sets of clips: which pairs they are taken over, and when they are refused."""

from __future__ import annotations

import pytest
from evaluation_cases import (
    other_tool,
    read,
    rows_of,
    run_of,
)

from gen_inbetween.evaluation.run import evaluate

pytestmark = pytest.mark.usefixtures("stand_ins")


def test_sets_are_compared_over_the_pairs_that_all_methods_have(tmp_path):
    made = tmp_path / "made"
    for index in range(9):
        other_tool(made, f"s{index}")
    (made / "s3" / "00000.png").unlink()
    (tmp_path / "empty").mkdir()
    methods = {"fade": {"baseline": "crossfade"}, "other": {"folder": str(made)}}
    methods["none"] = {"folder": str(tmp_path / "empty")}  # without any clip it takes no pair from the others
    run = run_of(tmp_path, count=9, methods=methods, metrics=["fd_colours[inner,8]", "brightness"])
    evaluate(run)
    figures = read(run, "sets.json")["fd_colours[inner,8]"]
    assert {label: figure["clips"] for label, figure in figures.items()} == {"fade": 8, "other": 8}
    assert 0 <= figures["fade"]["value"] < figures["other"]["value"]
    assert all(figure["low"] < figure["value"] < figure["high"] for figure in figures.values())
    assert read(run, "run.json")["sets"] == {"fd_colours[inner,8]": {"pairs": 8, "dropped": ["s3"]}}
    files = {path: path.stat().st_mtime_ns for path in (run.output / "sets").rglob("*.json")}
    evaluate(run)
    assert files == {path: path.stat().st_mtime_ns for path in (run.output / "sets").rglob("*.json")}


def test_too_few_clips_are_refused_with_the_number_and_the_rest_goes_on(tmp_path):
    run = run_of(tmp_path, metrics=["fd_colours[inner,8]", "brightness"])
    outcome = evaluate(run)
    assert [failure.why for failure in outcome.failures] == [
        "fd_colours[inner,8] compares sets of 8 clips or more, got 2"
    ]
    assert read(run, "sets.json") == {"fd_colours[inner,8]": {}}
    assert len(rows_of(run)) == 4
