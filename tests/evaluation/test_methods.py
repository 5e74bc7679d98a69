"""Methods that open no model: folders of other tools, baselines, interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import (
    FRAMES,
    other_tool,
    rows_of,
    run_of,
)
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation import context
from gen_inbetween.evaluation.methods import BASELINES, open_baseline
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.settings import EvaluationError
from gen_inbetween.interpolation import INTERPOLATORS

pytestmark = pytest.mark.usefixtures("stand_ins")


def test_folders_of_other_tools_are_read_as_far_as_they_go(tmp_path):
    made = tmp_path / "made"
    for pair in ("s0", "s1", "s4"):
        other_tool(made, pair)
    (made / "s1" / "00003.png").unlink()
    (made / "s4" / "00002.png").write_bytes(b"no picture")
    other_tool(made, "s2", size=48)
    other_tool(made, "s3", count=FRAMES + 1)
    run = run_of(tmp_path, count=6, methods={"other": {"folder": str(made)}})
    outcome = evaluate(run)
    why = {failure.pair: failure.why for failure in outcome.failures}
    assert list(why) == ["s1", "s2", "s3", "s4", "s5"]
    assert "expected 6 frames, got 5; missing 00003" in why["s1"]
    assert "expected 32x32 pixels, got 48x48" in why["s2"]
    assert "expected 6 frames, got 7" in why["s3"]
    assert "00002.png" in why["s4"]
    assert "expected the folder s5/" in why["s5"]
    (row,) = [row for row in rows_of(run) if row["method"] == "other"]
    assert (row["pair"], row["passes"], row["clip"]) == ("s0", None, str(made / "s0"))
    with pytest.raises(EvaluationError, match="strict: other, s1, seed 0: .*missing 00003"):
        evaluate(run_of(tmp_path, count=6, methods={"other": {"folder": str(made)}}, strict=True))


def test_a_folder_that_changed_is_scored_again(tmp_path):
    other_tool(tmp_path / "made", "s0")
    run = run_of(tmp_path, count=1, methods={"other": {"folder": str(tmp_path / "made")}})
    evaluate(run)
    before = rows_of(run)[0]["scores"]
    Image.new("RGB", (32, 32), (9, 99, 9)).save(tmp_path / "made" / "s0" / "00001.png")
    evaluate(run)
    assert rows_of(run)[0]["scores"]["brightness"] != before["brightness"]


def test_baselines(tmp_path):
    clip = make_clip(3, num_frames=9, size=64, kind="cart", speed=1.0)
    ends = (Image.fromarray(clip.frames[0]), Image.fromarray(clip.frames[-1]))

    def frames(name):
        baseline = open_baseline(name, {"baseline": name}, (64, 64), tmp_path)
        return np.stack([np.asarray(frame) for frame in baseline.interpolate(*ends, 9)])

    def error(name):
        assert (frames(name)[[0, -1]] == clip.frames[[0, -1]]).all()
        return np.abs(frames(name).astype(float) - clip.frames).mean()

    assert [(frame == clip.frames[0]).all() for frame in frames("nearest")] == [True] * 4 + [False] * 5
    assert error("dis") < 0.7 * error("crossfade")  # a cart that rolls is carried along, not faded
    assert (frames("flow-dis") == frames("dis")).all()  # the name of 0.1


def test_every_interpolator_is_a_baseline_by_its_name():
    assert set(BASELINES) == {"crossfade", *INTERPOLATORS} - {"blend"}  # of which it is another rounding


def test_interpolate_as_a_method_needs_no_model_and_makes_one_clip_a_pair(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "open_spec", None)  # would fail if it were called
    methods = {
        "blend": {"method": "interpolate", "interpolator": "blend"},
        "dis": {"method": "flow", "interpolator": "dis"},
    }
    run = run_of(tmp_path, methods=methods, seeds=[0, 1])
    assert evaluate(run).failures == ()
    rows = {(row["method"], row["pair"]): row for row in rows_of(run)}
    assert len(rows) == 6 and rows["dis", "s0"]["passes"] == 0  # the true clips are rows, too
    assert rows["blend", "s0"]["scores"] != rows["dis", "s0"]["scores"]
    with pytest.raises(EvaluationError, match="method interpolate takes interpolator and iters here, got 'num_frames'"):
        evaluate(run_of(tmp_path, methods={"a": {"method": "interpolate", "num_frames": 5}}))
