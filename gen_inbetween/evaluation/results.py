"""What an evaluation leaves behind: results.jsonl (a row a clip), sets.json (distances of sets), run.json (how made).

results.jsonl and sets.json hold figures only; but for the seconds they are the same after a killed run, or when several
processes made them. A figure that does not exist (the measure does not apply) is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gen_inbetween.evaluation.clip_store import ClipError, clip_folder, key_of, outside_path
from gen_inbetween.evaluation.context import Bench, Item
from gen_inbetween.evaluation.methods import FolderMethod
from gen_inbetween.evaluation.scoring import clip_metrics_of, is_there, read_scores, record_of
from gen_inbetween.evaluation.set_distances import Cell, read_cell
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.config import to_mapping
from gen_inbetween.runtime.files import write_json_lines

MEASURING = ("torchmetrics", "opencv-python-headless", "scipy", "scikit-image")  # packages that move figures


def write_results(bench: Bench, cells: Sequence[Cell], failures: list[dict[str, Any]]) -> int:
    """Write the three files from what the phases left; returns how many rows results.jsonl has."""
    output = bench.run.output
    rows = [row for item in in_order(bench) if (row := row_of(bench, item)) is not None]
    write_json_lines(output / "results.jsonl", rows)
    sets: dict[str, dict[str, Any]] = {name: {} for name in bench.set_metrics}
    for cell in cells:
        found = read_cell(bench, cell)
        if found is not None:
            sets[cell.metric.name][cell.method.label] = found
    manifest.write(sets, output / "sets.json")
    manifest.write(describe(bench, cells, failures), output / "run.json")
    return len(rows)


def in_order(bench: Bench) -> list[Item]:
    """All clips by method, pair and seed, the true clips last."""
    return [item for method in (*bench.methods, bench.true_clips) for item in bench.items(method)]


def row_of(bench: Bench, item: Item) -> dict[str, Any] | None:
    """A row of results.jsonl, or None for a clip that was not made or not scored.

    "scores" lacks the metrics that failed on this clip. "passes" and "seconds" are null where nobody counted.
    """
    try:
        if not is_there(bench, item):
            return None
        known = read_scores(bench, item)
    except ClipError:
        return None
    scores = {name: known[name] for name in clip_metrics_of(bench, item) if name in known}
    if not scores:
        return None
    record = record_of(bench, item) or {}
    return {
        "method": item.method.label,
        "pair": item.pair.name,
        "seed": item.seed,
        "gap": item.pair.num_frames,
        "motion": item.pair.motion,
        "passes": record.get("passes"),
        "seconds": record.get("seconds"),
        "clip": clip_path(bench, item),
        "scores": scores,
    }


def clip_path(bench: Bench, item: Item) -> str | None:
    """Where the frames are: relative to the output folder, or another tool's own folder; None for true clips."""
    if item.method is bench.true_clips:
        return None
    if isinstance(item.method, FolderMethod):
        return str(outside_path(item.method.folder, item.pair))
    folder = clip_folder(bench.run.output, item.method, item.pair, item.seed)
    return folder.relative_to(bench.run.output).as_posix()


def describe(bench: Bench, cells: Sequence[Cell], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """run.json: the configuration, and everything outside it that the figures depend on."""
    compared = {cell.metric.name: {pair.name for pair in cell.pairs} for cell in cells}
    spec = bench.spec
    return {
        "name": bench.run.name,
        "made": manifest.now(),
        "config": to_mapping(bench.run),
        "versions": manifest.versions(MEASURING),
        "machine": manifest.machine(),
        "list": {"name": bench.listed.name, "sha256": bench.listed.sha256, "pairs": len(bench.pairs)},
        "size": bench.size,
        "model": None if spec is None else {"name": spec.name, "sha256": folder_sha256(spec.source)},
        "methods": {
            method.label: {
                "folder": str(method.folder) if isinstance(method, FolderMethod) else f"clips/{key_of(method)}",
                "decided_by": method.decided_by,
            }
            for method in bench.methods
        },
        "metrics": {
            name: {"kind": kind, "unit": metric.unit, "better": metric.better}
            for kind, metrics in (("clip", bench.clip_metrics), ("set", bench.set_metrics))
            for name, metric in metrics.items()
        },
        "sets": {
            name: {"pairs": len(names), "dropped": [pair.name for pair in bench.pairs if pair.name not in names]}
            for name, names in compared.items()
        },
        "failures": failures,
    }
