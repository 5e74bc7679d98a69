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
from evaluation_cases import (
    FRAMES,
    MeanError,
    read,
    rows_of,
    run_of,
)
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.evaluation import context, scoring
from gen_inbetween.evaluation.clip_store import read_clip
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import read_list, write_list
from gen_inbetween.evaluation.pairs.truth import open_truth
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.samplers import noise_seed
from gen_inbetween.evaluation.settings import EvalRun
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.hashing import frames_sha256

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("stand_ins")


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
    assert run_json["metrics"]["brightness"] == {
        "kind": "clip",
        "unit": "grey levels",
        "better": "truth",
        "version": 1,
    }


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
import json, sys
from pathlib import Path
from evaluation_cases import STAND_INS, run_of
from gen_inbetween.evaluation import context
from gen_inbetween.evaluation.run import evaluate
context.open_metric = lambda name: STAND_INS[name]()
run = run_of(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
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
    launched["PYTHONPATH"] = os.pathsep.join(sys.path)  # with evaluation_cases
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "two"), str(tiny_folder), json.dumps(SHARED)]
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
