"""Scores and features of single clips, each kept in a file of its own: a new metric is all that a second run computes.

    output/scores/<label>-<key>/<pair>/seed<k>-<identity>.json                 {metric: value}
    output/features/<features>/<label>-<key>/<pair>/seed<k>-<identity>.npy     (n, D) float32

`identity` is the hash of everything that decides the clip, or of the files of a clip that another tool made.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.evaluation.clip_store import (
    ClipError,
    asked,
    clip_folder,
    key_of,
    outside_path,
    read_frames_of,
    read_outside,
    read_record,
)
from gen_inbetween.evaluation.context import Bench, Item, TrueClips
from gen_inbetween.evaluation.methods import FolderMethod
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Sample
from gen_inbetween.evaluation.metrics.set_metric import SetMetric
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.files import replaced

Scores = dict[str, float | None]  # None where a metric does not apply to the clip, or is not finite


def score_clip(bench: Bench, item: Item) -> None:
    """Compute what is not known yet of a clip: the scores of clip metrics and the features of set metrics.

    A clip of ours that has not been made is passed over: why it was not is known already.

    Raises:
        ClipError: a clip of another tool that cannot be used; metrics that failed on this clip, each with its reason.
        PairError: the true clip cannot be opened.
    """
    if not is_there(bench, item):
        return
    scores = read_scores(bench, item)
    missing: list[ClipMetric | SetMetric] = [
        *(metric for name, metric in clip_metrics_of(bench, item).items() if name not in scores),
        *(metric for metric in bench.set_metrics.values() if not features_path(bench, metric, item).exists()),
    ]
    if not missing:
        return
    truth = bench.truths(item.pair)
    sample = Sample(read_clip(bench, item, truth), truth.truth, truth.synthetic)
    failed = []
    for metric in missing:
        try:
            if isinstance(metric, ClipMetric):
                scores[metric.name] = score(metric, sample)
            else:
                keep_features(bench, metric, item, sample.frames)
        except Exception as error:  # one metric must not cost the others their scores; it is named
            failed.append(f"{metric.name}: {error}")
    manifest.write(scores, scores_path(bench, item))
    if failed:
        raise ClipError("; ".join(failed))


def score(metric: ClipMetric, sample: Sample) -> float | None:
    """A metric's value on one clip; None where it does not apply: JSON has no NaN and no infinity."""
    value = metric.score(sample) if metric.needs <= sample.knows else math.nan
    return value if math.isfinite(value) else None


def clip_metrics_of(bench: Bench, item: Item) -> dict[str, ClipMetric]:
    """Those that apply to the item's method.

    True clips are compared with themselves only by measures that are best at the truth's own value, to have that value.
    """
    if not isinstance(item.method, TrueClips):
        return bench.clip_metrics
    metrics = bench.clip_metrics.items()
    return {name: each for name, each in metrics if "truth" not in each.needs or each.better == "truth"}


def is_there(bench: Bench, item: Item) -> bool:
    """Whether the clip can be read; of another tool's this is found out by reading."""
    return isinstance(item.method, FolderMethod | TrueClips) or record_of(bench, item) is not None


def record_of(bench: Bench, item: Item) -> dict[str, object] | None:
    """made.json of a clip of ours, if it is the one asked for."""
    folder = clip_folder(bench.run.output, item.method, item.pair, item.seed)
    return read_record(folder, asked(item.method, item.pair, item.seed))


def read_clip(bench: Bench, item: Item, truth: Sample) -> NDArray[np.uint8]:
    """The frames of a clip, (F, H, W, 3) uint8."""
    if isinstance(item.method, TrueClips):
        return truth.frames
    if isinstance(item.method, FolderMethod):
        return read_outside(outside_path(item.method.folder, item.pair), item.pair.num_frames, *bench.size)
    return read_frames_of(clip_folder(bench.run.output, item.method, item.pair, item.seed))


def read_scores(bench: Bench, item: Item) -> Scores:
    """The scores known of a clip, of any configuration that asked for some."""
    try:
        known: Scores = json.loads(scores_path(bench, item).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return known


def scores_path(bench: Bench, item: Item) -> Path:
    return _file_of(bench.run.output / "scores", item, ".json")


def features_path(bench: Bench, metric: SetMetric, item: Item) -> Path:
    """Metrics on the same features (a Frechet and a kernel distance) share them."""
    return _file_of(bench.run.output / "features" / metric.features_name, item, ".npy")


def keep_features(bench: Bench, metric: SetMetric, item: Item, frames: NDArray[np.uint8]) -> None:
    """Compute and keep a clip's features, (n, D) float32, unless another metric has just done so."""
    path = features_path(bench, metric, item)
    if not path.exists():
        features = metric.features(frames)
        with replaced(path) as temporary:
            np.save(temporary, features)


def _file_of(folder: Path, item: Item, suffix: str) -> Path:
    return folder / key_of(item.method) / item.pair.name / f"seed{item.seed}-{item.identity}{suffix}"
