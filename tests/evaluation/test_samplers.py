"""The library's samplers as methods: motions, auto, the seed of the noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import (
    rows_of,
    run_of,
    write_pairs,
)

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.evaluation import samplers
from gen_inbetween.evaluation.clip_store import read_clip
from gen_inbetween.evaluation.context import open_context
from gen_inbetween.evaluation.pairs.pair import PairError
from gen_inbetween.evaluation.pairs.pair_list import read_list, write_list
from gen_inbetween.evaluation.pairs.truth import open_truth
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.samplers import noise_seed
from gen_inbetween.evaluation.settings import EvaluationError
from gen_inbetween.generation.auto import Motion

pytestmark = pytest.mark.usefixtures("stand_ins")


def test_gi_without_a_motion_is_refused_before_any_work(tmp_path, tiny_folder):
    with pytest.raises(EvaluationError, match="methods.a") as caught:
        evaluate(run_of(tmp_path, tiny_folder, methods={"a": {"method": "gi"}}))
    assert isinstance(caught.value.__cause__, MissingMotionError)


def test_auto_as_a_method_asks_the_model_only_where_things_move(tmp_path, tiny_folder, sampled, monkeypatch):
    methods = {"auto": {"method": "auto", "interpolator": "blend", "num_inference_steps": 1}}
    run = run_of(tmp_path, tiny_folder, methods=methods)
    asked = []

    def measure(frame0, frame1, interpolator):
        asked.append(interpolator.info.name)
        return Motion(displacement=100.0 if len(asked) > 1 else 0.5, disagreement=1.0)

    monkeypatch.setattr(samplers, "measure_motion", measure)
    assert evaluate(run).failures == ()
    assert asked == ["blend", "blend"] and [method for method, _ in sampled] == ["trf"]
    passes = {row["pair"]: row["passes"] for row in rows_of(run) if row["method"] == "auto"}
    assert passes["s0"] == 0 < passes["s1"]


def test_an_interpolator_is_refused_where_nothing_would_read_it(tmp_path, tiny_folder):
    with pytest.raises(EvaluationError, match="interpolator dis: belongs to the methods interpolate and auto"):
        evaluate(run_of(tmp_path, tiny_folder, methods={"a": {"method": "trf", "interpolator": "dis"}}))


@pytest.mark.parametrize(
    ("iters", "said"), [("two", "as a whole number"), (0, "1 or more, got 0"), (2, "no reference")]
)
def test_steps_of_an_interpolator_are_checked_before_any_work(tmp_path, tiny_folder, iters, said):
    methods = {"a": {"method": "auto", "interpolator": "blend", "iters": iters}}
    with pytest.raises(EvaluationError, match=f"methods.a: .*{said}"):
        open_context(run_of(tmp_path, tiny_folder, methods=methods))


def test_noise_is_the_same_for_every_method_and_another_for_every_pair_and_seed(tmp_path):
    pairs = read_list(write_pairs(tmp_path / "pairs.jsonl", 2)).pairs
    seeds = {noise_seed(seed, pair) for seed in (0, 1) for pair in pairs}
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert noise_seed(0, pairs[0]) == 0x83ED66DBA2A50039 >> 1  # `printf '0 s0' | sha256sum`, today and tomorrow


def test_a_pair_with_three_keyframes_is_sampled_and_interpolated_through_them(tmp_path, tiny_folder):
    """True frames stand at the keyframes of an interpolated clip; a sampled one takes a window more."""
    methods = {
        "vibid": {"method": "vibid", "num_inference_steps": 1},
        "blend": {"method": "interpolate", "interpolator": "blend"},
    }
    run = run_of(tmp_path, tiny_folder, count=1, methods=methods)
    (pair,) = read_list(run.pairs).pairs
    write_list(run.pairs, [replace(pair, keyframes=3)], name="pairs", made_by="test")
    (listed,) = read_list(run.pairs).pairs
    assert listed.keyframes == 3 and listed.positions == (0, (pair.num_frames - 1) // 2, pair.num_frames - 1)
    assert evaluate(run).failures == ()
    passes = {row["method"]: row["passes"] for row in rows_of(run)}
    assert passes["vibid"] == METHODS["vibid"].unet_passes(SamplerOptions(1), 2, 1)
    (folder,) = (run.output / "clips").glob("blend-*/*/seed0")
    truth = open_truth(listed, run.root, run.width or 32, run.height or 32).frames
    made = read_clip(folder)
    for position in listed.positions:
        assert np.array_equal(made[position], truth[position])
    with pytest.raises(PairError, match=f"expected 2 to {(pair.num_frames + 1) // 2} keyframes"):
        replace(pair, keyframes=pair.num_frames)
