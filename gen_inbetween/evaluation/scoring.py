"""Scores and features of single clips, one file each.

    output/scores/<label>-<key>/<pair>/seed<k>-<identity>.json                 {metric: value}
    output/features/<features>/<label>-<key>/<pair>/seed<k>-<identity>.npy     (n, D) float32

A new metric is all that a second run computes. `identity` is the hash of everything that decides the clip, or of the
files of a clip that another tool made.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.evaluation.clip_store import ClipError
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Sample
from gen_inbetween.evaluation.metrics.set_metric import SetMetric
from gen_inbetween.runtime.files import replaced, write_json

if TYPE_CHECKING:
    from gen_inbetween.evaluation.clip_store import EvalClip
    from gen_inbetween.evaluation.context import EvalContext

ClipScores = dict[str, float | None]  # by metric; None where one does not apply to the clip, or is not finite


def score_clip(context: EvalContext, clip: EvalClip) -> None:
    """Compute what is not known yet of a clip: the scores of clip metrics and the features of set metrics.

    A clip of ours that has not been generated is passed over: why it was not is known already.

    Raises:
        ClipError: a clip of another tool that cannot be used; metrics that failed on this clip, each with its reason.
        PairError: the true clip cannot be opened.
    """
    if not clip.exists():
        return
    scores = read_clip_scores(context, clip)
    missing: list[ClipMetric | SetMetric] = [
        *(metric for name, metric in clip.method.metrics(context.clip_metrics).items() if name not in scores),
        *(metric for metric in context.set_metrics.values() if not features_path(context, metric, clip).exists()),
    ]
    if not missing:
        return
    truth = context.truths(clip.pair)
    sample = Sample(clip.frames(), truth.truth, truth.synthetic)
    failures = []
    for metric in missing:
        try:
            if isinstance(metric, ClipMetric):
                scores[metric.name] = score(metric, sample)
            else:
                write_features(features_path(context, metric, clip), metric, sample.frames)
        except Exception as error:  # one metric must not cost the others their scores; it is named
            failures.append(f"{metric.name}: {error}")
    write_json(scores_path(context, clip), scores)
    if failures:
        raise ClipError("; ".join(failures))


def score(metric: ClipMetric, sample: Sample) -> float | None:
    """A metric's value on one clip; None where it does not apply: JSON has no NaN and no infinity."""
    value = metric.score(sample) if metric.needs <= sample.knows else math.nan
    return value if math.isfinite(value) else None


def read_clip_scores(context: EvalContext, clip: EvalClip) -> ClipScores:
    """The scores known of a clip, of any configuration that asked for some."""
    try:
        scores: ClipScores = json.loads(scores_path(context, clip).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return scores


def scores_path(context: EvalContext, clip: EvalClip) -> Path:
    """The file of a clip's scores."""
    return clip.file(context.run.output / "scores", ".json")


def features_path(context: EvalContext, metric: SetMetric, clip: EvalClip) -> Path:
    """The file of a clip's features; metrics on the same features (a Frechet and a kernel distance) share it."""
    return clip.file(context.run.output / "features" / metric.features_name, ".npy")


def write_features(path: Path, metric: SetMetric, frames: NDArray[np.uint8]) -> None:
    """Compute and keep a clip's features, (n, D) float32, unless another metric has just done so."""
    if not path.exists():
        features = metric.features(frames)
        with replaced(path) as temporary:
            np.save(temporary, features)
