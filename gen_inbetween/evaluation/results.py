"""Result files of an evaluation: results.jsonl, sets.json and run.json.

    results.jsonl   a row a clip
    sets.json       distances of sets, by metric and method
    run.json        how all of it was made, and the hashes of the other two

results.jsonl and sets.json hold figures only; but for the seconds they are the same after a killed run, or when several
processes made them. A figure that does not exist (the metric does not apply) is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gen_inbetween.evaluation.clip_store import ClipError
from gen_inbetween.evaluation.scoring import read_clip_scores
from gen_inbetween.evaluation.set_distances import SetComparison, read_comparison
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.config import to_mapping
from gen_inbetween.runtime.files import write_json, write_json_lines
from gen_inbetween.runtime.hashing import file_sha256

if TYPE_CHECKING:
    from gen_inbetween.evaluation.clip_store import EvalClip
    from gen_inbetween.evaluation.context import EvalContext

PACKAGES = ("torchmetrics", "opencv-python-headless", "scipy", "scikit-image")  # that move figures


def write_results(context: EvalContext, comparisons: Sequence[SetComparison], failures: list[dict[str, Any]]) -> int:
    """Write the three files from what the phases left; returns how many rows results.jsonl has."""
    output = context.run.output
    rows = [row for clip in clips_by_method(context) if (row := clip_row(context, clip)) is not None]
    write_json_lines(output / "results.jsonl", rows)
    sets: dict[str, dict[str, Any]] = {name: {} for name in context.set_metrics}
    for comparison in comparisons:
        figures = read_comparison(context, comparison)
        if figures is not None:
            sets[comparison.metric.name][comparison.method.label] = figures
    write_json(output / "sets.json", sets)
    hashes = {name: file_sha256(output / name) for name in ("results.jsonl", "sets.json")}
    write_json(output / "run.json", describe_run(context, comparisons, failures) | {"files": hashes})
    return len(rows)


def clips_by_method(context: EvalContext) -> Iterator[EvalClip]:
    """All clips by method, pair and seed, the true clips last."""
    for method in (*context.methods, context.true_clips):
        yield from context.clips(method)


def clip_row(context: EvalContext, clip: EvalClip) -> dict[str, Any] | None:
    """A row of results.jsonl, or None for a clip that was not generated or not scored.

    "scores" lacks the metrics that failed on this clip. "passes" and "seconds" are null where nobody counted.
    """
    try:
        if not clip.exists():
            return None
        known = read_clip_scores(context, clip)
    except ClipError:
        return None
    scores = {name: known[name] for name in clip.method.metrics(context.clip_metrics) if name in known}
    if not scores:
        return None
    record = (clip.record() if clip.method.generates else None) or {}
    return {
        "method": clip.method.label,
        "pair": clip.pair.name,
        "seed": clip.seed,
        "gap": clip.pair.num_frames,
        "motion": clip.pair.motion,
        "passes": record.get("passes"),
        "seconds": record.get("seconds"),
        "clip": describe_path(context, clip),
        "scores": scores,
    }


def describe_path(context: EvalContext, clip: EvalClip) -> str | None:
    """Where the frames are: relative to the output folder, or another tool's own folder; None for true clips."""
    folder = clip.folder
    if folder is not None and clip.method.generates:
        return folder.relative_to(context.run.output).as_posix()
    return None if folder is None else str(folder)


def describe_run(
    context: EvalContext, comparisons: Sequence[SetComparison], failures: list[dict[str, Any]]
) -> dict[str, Any]:
    """run.json: the configuration, and everything outside it that the figures depend on."""
    compared = {each.metric.name: {pair.name for pair in each.pairs} for each in comparisons}
    spec, pair_list = context.spec, context.pair_list
    return {
        "name": context.run.name,
        "created_at": manifest.now(),
        "config": to_mapping(context.run),
        "versions": manifest.versions(PACKAGES),
        "machine": manifest.machine(),
        "list": {"name": pair_list.name, "sha256": pair_list.sha256, "pairs": len(context.pairs)},
        "size": context.size,
        "model": None if spec is None else {"name": spec.name, "sha256": folder_sha256(spec.source)},
        "methods": {
            method.label: {"folder": method.location(), "decided_by": method.decided_by} for method in context.methods
        },
        "metrics": {
            name: {"kind": kind, "unit": metric.unit, "better": metric.better, "version": metric.version}
            for kind, metrics in (("clip", context.clip_metrics), ("set", context.set_metrics))
            for name, metric in metrics.items()
        },
        "sets": {
            name: {"pairs": len(names), "dropped": [pair.name for pair in context.pairs if pair.name not in names]}
            for name, names in compared.items()
        },
        "failures": failures,
    }
