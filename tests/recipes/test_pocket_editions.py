"""eval/pocket_editions.py: true clips pass their own measures; rows stay with what made them, frames with the sheet."""

from __future__ import annotations

import json
from pathlib import Path

import pocket_editions
import pytest


@pytest.fixture
def output(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(pocket_editions, "WORLDS", {"plain": pocket_editions.WORLDS["plain"]})
    monkeypatch.setattr(pocket_editions, "by_gap", lambda results: [])  # there are no photographs
    return tmp_path


def compare(output: Path, *options: str) -> dict[str, dict[str, float]]:
    pocket_editions.main(["truth=truth", "--clips", "2", "--shown", "1", "--output", str(output), *options])
    return json.loads((output / "truth.json").read_text())["rows"]


def test_true_clips_are_sharp_found_and_go_nose_first(output):
    for row in compare(output).values():
        assert row["sharpness"] == row["found"] == 1
        assert row["flicker"] == 0 or row["flicker"] != row["flicker"]  # NaN: the camera moves
    assert (output / "sheet.png").exists()


def test_a_true_walker_whose_front_is_beside_its_way_goes_as_far_nose_first_as_the_truth():
    clip = pocket_editions.draw("plain", 6)
    row = pocket_editions.score(clip.frames, clip)
    assert clip.kinds == ("walker",)
    assert 0.4 < row["nose"] < 0.6 and row["as_true"] == 1
    assert pocket_editions.score(clip.frames[::-1], clip)["as_true"] == 0


def test_frames_of_the_sheet_that_are_gone_are_made_again(output):
    rows = compare(output)
    (output / "truth_plain_0.npz").unlink()
    assert json.dumps(compare(output)) == json.dumps(rows)
    assert (output / "truth_plain_0.npz").exists()


def test_rows_made_at_other_steps_are_not_mixed_in(output, capsys):
    rows = compare(output)
    with pytest.raises(SystemExit) as left:
        compare(output, "--steps", "3")
    assert left.value.code == 2
    assert "scores of truth at 25 steps, not of truth at 3" in capsys.readouterr().err
    assert json.dumps(json.loads((output / "truth.json").read_text())["rows"]) == json.dumps(rows)


def test_a_model_whose_vae_is_asked_for_is_scored_by_its_round_trip(output):
    pocket_editions.main(["vae=pocket-2:vae", "--clips", "1", "--shown", "0", "--output", str(output)])
    row = json.loads((output / "vae.json").read_text())["rows"]["plain/0"]
    assert 0.8 < row["sharpness"] < 1.05
    assert row["psnr"] > 30
