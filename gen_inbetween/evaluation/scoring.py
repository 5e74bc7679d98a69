"""Scores and features of single clips, one file each.

    output/scores/<label>-<key>/<pair>/seed<k>-<identity>.json
        {"frames": hash, "scores": {metric: {"value": x, "version": n}}, "features": {name: {"sha256": ..., ...}}}
    output/features/<features>/<label>-<key>/<pair>/seed<k>-<identity>.npy     (n, D) float32

A new metric is all that a second run computes. `identity` is the hash of everything that decides the clip, and of the
files of a clip that another tool made. What was computed from other frames, by another version of a metric, or was
changed since, is computed again.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.evaluation.clip_store import ClipError
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Sample
from gen_inbetween.evaluation.metrics.set_metric import SetMetric
from gen_inbetween.evaluation.sealed import read_sealed, write_sealed
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.hashing import cached_file_sha256

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
    known = read_known(context, clip)
    missing: list[ClipMetric | SetMetric] = [
        *(each for each in clip.method.metrics(context.clip_metrics).values() if not known.has_score(each)),
        *(metric for metric in context.set_metrics.values() if not has_features(context, metric, clip, known)),
    ]
    if not missing:
        return
    truth = context.truths(clip.pair)
    sample = Sample(clip.frames(), truth.truth, truth.synthetic)
    failures = []
    for metric in missing:
        try:
            if isinstance(metric, ClipMetric):
                known.scores[metric.name] = {"value": score(metric, sample), "version": metric.version}
            elif not has_features(context, metric, clip, known):  # unless another metric has just done so
                path = features_path(context, metric, clip)
                write_features(path, metric, sample.frames)
                kept = {"sha256": cached_file_sha256(path), "version": metric.extractor.version}
                known.features[metric.features_name] = kept
        except Exception as error:  # one metric must not cost the others their scores; it is named
            known.scores.pop(metric.name, None)
            failures.append(f"{metric.name}: {error}")
    write_sealed(scores_path(context, clip), asdict(known))
    if failures:
        raise ClipError("; ".join(failures))


def score(metric: ClipMetric, sample: Sample) -> float | None:
    """A metric's value on one clip; None where it does not apply: JSON has no NaN and no infinity."""
    value = metric.score(sample) if metric.needs <= sample.knows else math.nan
    return value if math.isfinite(value) else None


@dataclass
class Known:
    """What was computed of a clip, by any configuration that asked for some."""

    frames: str  # `EvalClip.content` when it was computed
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)  # metric -> value and version
    features: dict[str, dict[str, Any]] = field(default_factory=dict)  # features -> sha256 of their file and version

    def has_score(self, metric: ClipMetric) -> bool:
        """Whether this very version of the metric has scored the clip."""
        return self.scores.get(metric.name, {}).get("version") == metric.version


def read_known(context: EvalContext, clip: EvalClip) -> Known:
    """What is known of a clip as it is now: what was computed from other frames is not."""
    frames, record = clip.content(), read_sealed(scores_path(context, clip))
    return Known(frames) if record is None or record["frames"] != frames else Known(**record)


def read_clip_scores(context: EvalContext, clip: EvalClip) -> ClipScores:
    """The scores known of a clip by the metrics of this run, as they are now."""
    known = read_known(context, clip)
    return {name: known.scores[name]["value"] for name, each in context.clip_metrics.items() if known.has_score(each)}


def has_features(context: EvalContext, metric: SetMetric, clip: EvalClip, known: Known | None = None) -> bool:
    """Whether the features of a clip, as it is now, are there and as they were written."""
    return features_sha256(context, metric, clip, known) is not None


def features_sha256(context: EvalContext, metric: SetMetric, clip: EvalClip, known: Known | None = None) -> str | None:
    """Hash of the file of a clip's features; None where it is not there or not to be used."""
    kept = (known or read_known(context, clip)).features.get(metric.features_name)
    path = features_path(context, metric, clip)
    if kept is None or kept["version"] != metric.extractor.version or not path.exists():
        return None
    sha256: str = kept["sha256"]
    return sha256 if cached_file_sha256(path) == sha256 else None


def scores_path(context: EvalContext, clip: EvalClip) -> Path:
    """The file of a clip's scores."""
    return clip.file(context.run.output / "scores", ".json")


def features_path(context: EvalContext, metric: SetMetric, clip: EvalClip) -> Path:
    """The file of a clip's features; metrics on the same features (a Frechet and a kernel distance) share it."""
    return clip.file(context.run.output / "features" / metric.features_name, ".npy")


def write_features(path: Path, metric: SetMetric, frames: NDArray[np.uint8]) -> None:
    """Compute and keep a clip's features, (n, D) float32."""
    features = metric.features(frames)
    with replaced(path) as temporary:
        np.save(temporary, features)
