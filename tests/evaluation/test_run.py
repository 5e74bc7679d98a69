"""The harness: what is made, scored and compared once and never again; what fails is named and the rest goes on.

The metrics are small stand-ins, the model is random, the clips are two or three of six frames.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.evaluation import context, samplers, scoring
from gen_inbetween.evaluation.clip_store import read_clip
from gen_inbetween.evaluation.methods import BASELINES, open_baseline
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric
from gen_inbetween.evaluation.metrics.set_metric import SetMetricSpec
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import read_list, write_list
from gen_inbetween.evaluation.pairs.truth import open_truth
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.samplers import noise_seed
from gen_inbetween.evaluation.settings import EvalRun, EvaluationError
from gen_inbetween.generation.auto import Motion
from gen_inbetween.generation.sample import sample
from gen_inbetween.interpolation import INTERPOLATORS
from gen_inbetween.runtime.config import ConfigError, from_mapping, load
from gen_inbetween.runtime.hashing import frames_sha256

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 6
SIZE = {"width": 32, "height": 32}


class MeanError(ClipMetric):
    name, unit, better, needs = "mean_error", "grey levels", "lower", frozenset({"truth"})

    def score(self, sample):
        return float(np.abs(sample.frames.astype(float) - sample.truth).mean())


class Brightness(ClipMetric):
    name, unit, better = "brightness", "grey levels", "truth"

    def score(self, sample):
        return float(sample.frames.mean())


class Undefined(ClipMetric):
    name, unit, better = "undefined", "", "lower"

    def score(self, sample):
        return float("nan")


class Broken(ClipMetric):
    name, unit, better = "broken", "", "lower"

    def score(self, sample):
        raise RuntimeError("out of luck")


class Colours(FeatureExtractor):
    name, num_features, size, sha256 = "colours", 3, 8, "0" * 64

    def extract(self, frames):
        return frames.float().mean((2, 3))


COLOUR_DISTANCE = SetMetricSpec("fd_colours[inner,8]", "colours", "inner", "Distance between mean colours.")
STAND_INS = {each.name: each for each in (MeanError, Brightness, Undefined, Broken)}
STAND_INS[COLOUR_DISTANCE.name] = lambda: COLOUR_DISTANCE(Colours())


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    monkeypatch.setattr(context, "open_metric", lambda name: STAND_INS[name]())


def write_pairs(path: Path, count: int) -> Path:
    pairs = []
    for seed in range(count):
        clip = make_clip(seed, num_frames=FRAMES, size=32)
        source = {"synthetic": {"seed": seed, "num_frames": FRAMES, "size": 32}}
        pairs.append(
            Pair(f"s{seed}", source, FRAMES, clip.fps, clip.motion_bucket_id, 1.0 + seed, frames_sha256(clip.frames))
        )
    write_list(path, pairs, name="tiny", made_by="a test")
    return path


def run_of(tmp_path: Path, folder: Path | None = None, count: int = 2, **more) -> EvalRun:
    """An evaluation in tmp_path / "out"; without `folder` there is no model in it."""
    methods = {"fade": {"baseline": "crossfade"}}
    if folder is not None:
        methods |= {
            "trf": {"method": "trf", "num_inference_steps": 1},
            "turned": {"method": "gi", "motion": "untuned", "num_inference_steps": 1},
        }
    values = {
        "name": "tiny",
        "pairs": str(write_pairs(tmp_path / f"pairs{count}.jsonl", count)),
        "output": str(tmp_path / "out"),
        "model": str(folder or "pocket"),
        "methods": methods,
        "metrics": ["mean_error", "brightness"],
        **SIZE,
        **more,
    }
    return from_mapping(EvalRun, values)


def rows_of(run: EvalRun, without: tuple[str, ...] = ("seconds",)) -> list[dict]:
    rows = [json.loads(line) for line in (run.output / "results.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in without} for row in rows]


def read(run: EvalRun, name: str) -> dict:
    return json.loads((run.output / name).read_text())


@pytest.fixture
def sampled(monkeypatch):
    """Counts the clips that the model makes."""
    calls = []

    def count(pipe, run, frame0, frame1):
        calls.append((run.method.name, run.settings.seed))
        return sample(pipe, run, frame0, frame1)

    monkeypatch.setattr(samplers, "sample", count)
    return calls


def test_a_row_for_every_clip_in_order(tmp_path, tiny_folder, sampled):
    run = run_of(tmp_path, tiny_folder, count=1, seeds=[0, 3])
    outcome = evaluate(run)
    assert outcome.failures == ()
    rows = rows_of(run)
    wanted = [("fade", 0), ("trf", 0), ("trf", 3), ("turned", 0), ("turned", 3), ("truth", 0)]
    assert [(row["method"], row["seed"]) for row in rows] == wanted
    assert outcome.clips == len(rows)
    assert {row["method"]: row["passes"] for row in rows} == {"fade": 0, "trf": 4, "turned": 4, "truth": None}
    assert all(set(row["scores"]) == {"mean_error", "brightness"} for row in rows[:-1])
    assert set(rows[-1]["scores"]) == {"brightness"}  # the truth is not held against itself
    assert len(sampled) == 4 and len({seed for _, seed in sampled}) == 2  # the same noise for both methods
    run_json = read(run, "run.json")
    assert run_json["methods"]["turned"]["decided_by"]["motion"] == "untuned"
    assert run_json["metrics"]["brightness"] == {"kind": "clip", "unit": "grey levels", "better": "truth"}


def test_the_scores_are_of_the_frames_that_are_kept(tmp_path):
    run = run_of(tmp_path)
    evaluate(run)
    row = rows_of(run)[1]
    pair = read_list(run.pairs).pairs[1]
    frames, truth = read_clip(run.output / row["clip"]), open_truth(pair, None, 32, 32).frames
    assert row["scores"]["mean_error"] == float(np.abs(frames.astype(float) - truth).mean()) > 0
    assert (frames[0] == truth[0]).all() and (frames[-1] == truth[-1]).all()  # a cross-fade has exact ends


def test_a_generation_is_never_repeated_when_a_metric_is_added(tmp_path, tiny_folder, sampled, monkeypatch):
    evaluate(run_of(tmp_path, tiny_folder, count=1))
    before = len(sampled)
    scored = []
    monkeypatch.setattr(MeanError, "score", lambda self, sample: scored.append(sample) or 0.0)
    more = run_of(tmp_path, tiny_folder, count=1, metrics=["mean_error", "brightness", "undefined"])
    evaluate(more)
    assert (before, len(sampled), scored) == (2, 2, [])
    assert all(row["scores"]["undefined"] is None for row in rows_of(more))


def test_a_changed_option_is_another_clip(tmp_path, tiny_folder, sampled):
    def scores_with(**options):
        methods = {"trf": {"method": "trf", "num_inference_steps": 1, **options}}
        run = run_of(tmp_path, tiny_folder, count=1, methods=methods)
        evaluate(run)
        return rows_of(run)[0]["scores"]

    first = scores_with()
    assert scores_with(max_guidance_scale=3.0) == first  # the method's own default, said aloud
    assert len(sampled) == 1
    assert scores_with(max_guidance_scale=2.0) != first
    assert scores_with() == first
    assert len(sampled) == 2


def test_a_killed_run_resumes_to_the_same_results(tmp_path, tiny_folder, monkeypatch):
    """The second clip dies half-way through its files, the third score never comes; then it is run again."""
    methods = {"fade": {"baseline": "crossfade"}, "trf": {"method": "trf", "num_inference_steps": 1}}
    whole = run_of(tmp_path / "whole", tiny_folder, methods=methods)
    evaluate(whole)
    run = run_of(tmp_path / "killed", tiny_folder, methods=methods)

    def killed_at(calls_left, real):
        def call(*args, **kwargs):
            calls_left[0] -= 1
            if calls_left[0] < 0:
                raise KeyboardInterrupt  # as sudden as a kill for all that is written: no handler finishes a file
            return real(*args, **kwargs)

        return call

    for module, name, calls in ((Image.Image, "save", [FRAMES + 2]), (scoring, "score", [2])):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, killed_at(calls, getattr(module, name)))
            with pytest.raises(KeyboardInterrupt):
                evaluate(run)
        assert not (run.output / "results.jsonl").exists()
    evaluate(run)
    assert rows_of(run) == rows_of(whole)


PROCESS = """
import sys
from pathlib import Path
import test_run as tests
from gen_inbetween.evaluation import context
from gen_inbetween.evaluation.run import evaluate
context.open_metric = lambda name: tests.STAND_INS[name]()
run = tests.run_of(Path(sys.argv[1]), Path(sys.argv[2]), **tests.SHARED)
print(evaluate(run).clips)
"""
SHARED = {
    "count": 8,
    "methods": {"fade": {"baseline": "crossfade"}, "trf": {"method": "trf", "num_inference_steps": 1}},
    "metrics": ["brightness", "broken", "fd_colours[inner,8]"],
}


def test_two_processes_give_the_table_of_one(tmp_path, tiny_folder):
    alone = run_of(tmp_path / "one", tiny_folder, **SHARED)
    evaluate(alone)
    together = run_of(tmp_path / "two", tiny_folder, **SHARED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launched = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""}
    launched["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])  # this module, and what it shares
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "two"), str(tiny_folder)]
    processes = [
        subprocess.Popen(
            command, env={**os.environ, **launched, "RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE, text=True
        )
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=600)[0].split()[-1] for process in processes]
    assert said == ["24", "None"]
    assert rows_of(together) == rows_of(alone)
    assert read(together, "sets.json") == read(alone, "sets.json")

    def failures(run):
        return sorted(map(str, read(run, "run.json")["failures"]))

    assert failures(together) == failures(alone)
    assert len(failures(alone)) == 24


def test_a_clip_that_is_not_finite_is_named_and_the_rest_goes_on(tmp_path, tiny_folder, monkeypatch):
    real = InbetweenPipeline.__call__

    def poisoned(self, *frames, generator, **options):
        first = generator.initial_seed() == noise_seed(0, read_list(run.pairs).pairs[0])
        hook = self.unet.conv_out.register_forward_hook(lambda _, given, out: out * torch.nan if first else out)
        try:
            return real(self, *frames, generator=generator, **options)
        finally:
            hook.remove()

    turned = {"method": "gi", "motion": "untuned", "num_inference_steps": 1}
    run = run_of(tmp_path, tiny_folder, methods={"turned": turned, "fade": {"baseline": "crossfade"}})
    monkeypatch.setattr(InbetweenPipeline, "__call__", poisoned)
    outcome = evaluate(run)
    assert [(failure.method, failure.pair) for failure in outcome.failures] == [("turned", "s0")]
    assert "not finite" in read(run, "run.json")["failures"][0]["why"]
    made = [(row["method"], row["pair"]) for row in rows_of(run) if row["method"] != "truth"]
    assert made == [("turned", "s1"), ("fade", "s0"), ("fade", "s1")]


def other_tool(folder: Path, name: str, count: int = FRAMES, size: int = 32) -> None:
    (folder / name).mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (size, size), (40 * index, 0, 0)).save(folder / name / f"{index:05d}.png")


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


def test_a_metric_that_fails_costs_the_others_nothing(tmp_path):
    run = run_of(tmp_path, count=1, metrics=["broken", "brightness"])
    outcome = evaluate(run)
    assert [failure.why for failure in outcome.failures] == ["broken: out of luck"] * 2
    assert [set(row["scores"]) for row in rows_of(run)] == [{"brightness"}] * 2


def test_a_true_clip_that_cannot_be_opened_is_one_failure(tmp_path):
    run = run_of(tmp_path, methods={"fade": {"baseline": "crossfade"}, "near": {"baseline": "nearest"}})
    lines = run.pairs.read_text().splitlines()
    row = json.loads(lines[1])
    run.pairs.write_text("\n".join([lines[0], json.dumps(row | {"sha256": "0" * 64}), *lines[2:]]) + "\n")
    outcome = evaluate(run)
    assert [(failure.method, failure.pair, failure.seed) for failure in outcome.failures] == [(None, "s0", None)]
    assert [row["pair"] for row in rows_of(run)] == ["s1"] * 3


def test_a_clip_too_long_for_the_model_is_skipped_by_name(tmp_path, tiny_folder):
    clip = make_clip(0, num_frames=13, size=32)
    source = {"synthetic": {"seed": 0, "num_frames": 13, "size": 32}}
    pair = Pair("long", source, 13, clip.fps, clip.motion_bucket_id, 1.0, frames_sha256(clip.frames))
    run = run_of(tmp_path, tiny_folder)
    write_list(run.pairs, [pair], name="long", made_by="a test")
    outcome = evaluate(run)
    assert [(failure.method, failure.pair) for failure in outcome.failures] == [("trf", "long"), ("turned", "long")]
    assert "does 3 to 12" in outcome.failures[0].why


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": {}}, "expected at least one"),
        ({"methods": {"a": {"baseline": "crosfade"}}}, "methods.a: .*nearest: crossfade"),
        ({"methods": {"a": {"method": "gi", "renoise_step": 1}}}, "methods.a: .*did you mean 'renoise_steps'"),
        ({"methods": {"a": {"method": "gj"}}}, "methods.a: .*did you mean 'gi'"),
        ({"methods": {"a": {"method": "svd", "fusion": "linear"}}}, "methods.a: method svd takes no fusion"),
        ({"width": 72, "methods": {"a": {"method": "gi"}}}, "methods.a: width 72 is not a multiple of"),
        ({"methods": {"a": {"method": "gi", "seed": 3}}}, "'seed' is not a method's to choose"),
        ({"methods": {"a": {"method": "gi", "motion": "absent.safetensors"}}}, "methods.a: motion: .*absent"),
        ({"methods": {"a": {"folder": "absent"}}}, "methods.a: no such folder"),
        ({"methods": {"a": {"folder": ".", "fps": 3}}}, "takes no further options, got fps"),
        ({"methods": {"a": {"baseline": "nearest", "folder": "."}}}, "expected one of the keys"),
        ({"methods": {"truth": {"baseline": "nearest"}}}, "is not 'truth'"),
        ({"methods": {"a/b": {"baseline": "nearest"}}}, "part of a folder's name"),
        ({"reference": "gi"}, "reference 'gi' is no method of this run: fade"),
        ({"metrics": []}, "metrics: expected at least one"),
        ({"pairs": "absent.jsonl"}, "cannot read the list"),
        ({"report": {"headline": ["brightnes"]}}, "did you mean 'brightness'"),
    ],
)
def test_a_bad_configuration_is_refused_before_any_work(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(run_of(tmp_path, **change))
    assert not (tmp_path / "out").exists()


def test_keys_of_a_configuration_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'metrics'"):
        run_of(tmp_path, metric=["brightness"])


def test_gi_without_a_motion_is_refused_before_any_work(tmp_path, tiny_folder):
    with pytest.raises(EvaluationError, match="methods.a") as caught:
        evaluate(run_of(tmp_path, tiny_folder, methods={"a": {"method": "gi"}}))
    assert isinstance(caught.value.__cause__, MissingMotionError)


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


def test_flow_as_a_method_needs_no_model_and_makes_one_clip_a_pair(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "open_spec", None)  # would fail if it were called
    methods = {"blend": {"method": "flow", "interpolator": "blend"}, "dis": {"method": "flow", "interpolator": "dis"}}
    run = run_of(tmp_path, methods=methods, seeds=[0, 1])
    assert evaluate(run).failures == ()
    rows = {(row["method"], row["pair"]): row for row in rows_of(run)}
    assert len(rows) == 6 and rows["dis", "s0"]["passes"] == 0  # the true clips are rows, too
    assert rows["blend", "s0"]["scores"] != rows["dis", "s0"]["scores"]
    with pytest.raises(EvaluationError, match="method flow takes interpolator and iters here, got 'num_frames'"):
        evaluate(run_of(tmp_path, methods={"a": {"method": "flow", "num_frames": 5}}))


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


def test_noise_is_the_same_for_every_method_and_another_for_every_pair_and_seed(tmp_path):
    pairs = read_list(write_pairs(tmp_path / "pairs.jsonl", 2)).pairs
    seeds = {noise_seed(seed, pair) for seed in (0, 1) for pair in pairs}
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert noise_seed(0, pairs[0]) == 0x83ED66DBA2A50039 >> 1  # `printf '0 s0' | sha256sum`, today and tomorrow


def test_the_output_folder_can_be_moved(tmp_path):
    run = run_of(tmp_path)
    evaluate(run)
    shutil.move(run.output, tmp_path / "moved")
    row = json.loads((tmp_path / "moved" / "results.jsonl").read_text().splitlines()[0])
    assert len(read_clip(tmp_path / "moved" / row["clip"])) == FRAMES


def test_the_quick_configuration_ends_in_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(context, "open_metric", open_metric)
    monkeypatch.chdir(ROOT)  # the paths of configurations start there
    spec = importlib.util.spec_from_file_location("evaluate", ROOT / "eval" / "evaluate.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    opened = context.open_context(load(EvalRun, "configs/eval/quick.yaml", [f"output={tmp_path}"]))
    assert [method.label for method in opened.methods] == ["gi", "trf", "crossfade"]
    fewer = ["limit=1", "methods={fade: {baseline: crossfade}}", "reference=fade"]  # no model: seconds less
    script.main(["--config", "configs/eval/quick.yaml", f"output={tmp_path}", *fewer])
    assert "report.md: 2 clips scored, 0 failures" in capsys.readouterr().out
    assert "`trajectory_error`" in (tmp_path / "report.md").read_text()
