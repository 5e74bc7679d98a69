"""Small evaluations: metrics without networks, pairs of six frames, and readers of what a run leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric
from gen_inbetween.evaluation.metrics.set_metric import SetMetricSpec
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import write_list
from gen_inbetween.evaluation.settings import EvalRun
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.hashing import frames_sha256

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
        "model": str(folder or "pocket-2"),
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


def other_tool(folder: Path, name: str, count: int = FRAMES, size: int = 32) -> None:
    (folder / name).mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (size, size), (40 * index, 0, 0)).save(folder / name / f"{index:05d}.png")
