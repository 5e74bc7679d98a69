"""Distances between the set of made clips and the set of true ones, over the pairs that all methods have.

A distance of about a hundred clips is biased and noisy, so three things stand beside it: how many clips, the value
extrapolated to infinitely many (`metrics.frechet.extrapolated`), and an interval from resampled clips. A resample holds
clips twice, which moves a distance upwards as fewer clips would; so only the spread of the resamples is taken, and the
interval is 1.96 of their standard deviation to each side of the plain value.

    output/sets/<metric>/<label>-<key>-<hash of the clips>.json
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.evaluation.clip_store import ClipError, key_of
from gen_inbetween.evaluation.context import Bench, Item, Scored
from gen_inbetween.evaluation.methods import Method
from gen_inbetween.evaluation.metrics.frechet import RankDeficient, extrapolated
from gen_inbetween.evaluation.metrics.set_metric import SetMetric
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.scoring import features_path, is_there
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.hashing import short_hash

RESAMPLES = 100
RESAMPLES_OF_WIDE = 20  # where D is above WIDEST: 3,000 frames of 1,280 features take seconds each
WIDEST = 400
Features = NDArray[np.float32]


@dataclass(frozen=True)
class Cell:
    """One figure of the table of sets."""

    metric: SetMetric
    method: Method
    pairs: tuple[Pair, ...]  # those that all methods of the table have


def open_cells(bench: Bench) -> list[Cell]:
    """The table: for each metric the methods that have clips at all, over the pairs that every one of these has."""
    cells = []
    for metric in bench.set_metrics.values():
        known = {method.label: known_pairs(bench, metric, method) for method in bench.methods}
        there = [method for method in bench.methods if known[method.label]]
        true = known_pairs(bench, metric, bench.true_clips)
        common = true.intersection(*(known[method.label] for method in there))
        pairs = tuple(pair for pair in bench.pairs if pair.name in common)
        cells += [Cell(metric, method, pairs) for method in there]
    return cells


def known_pairs(bench: Bench, metric: SetMetric, method: Scored) -> set[str]:
    """The names of the pairs of which a method's clip has been made and its features computed."""
    names = set()
    for item in _items(bench, method, bench.pairs):
        with suppress(ClipError):  # no clip in the folder of another tool
            if is_there(bench, item) and features_path(bench, metric, item).exists():
                names.add(item.pair.name)
    return names


def compare_sets(bench: Bench, cell: Cell) -> None:
    """Compute one figure with its interval, unless it is known.

    Raises:
        TooFewClips: fewer than the metric takes; the message has both numbers.
    """
    path = cell_path(bench, cell)
    if path.exists():
        return
    cell.metric.require(len(cell.pairs))
    made = [np.load(features_path(bench, cell.metric, item)) for item in _items(bench, cell.method, cell.pairs)]
    real = [np.load(features_path(bench, cell.metric, item)) for item in _items(bench, bench.true_clips, cell.pairs)]
    manifest.write({**figures(cell.metric, real, made), "clips": len(made)}, path)


def figures(metric: SetMetric, real: Sequence[Features], made: Sequence[Features]) -> dict[str, float]:
    """value, extrapolated, and low and high of a 95 % interval.

    Args:
        real, made: features of each clip, (n, D), the same pairs in the same order.
    """
    distance, count, generator = metric.distance, len(made), np.random.default_rng(0)
    value = distance(np.concatenate(real), np.concatenate(made))
    resamples = RESAMPLES if made[0].shape[1] <= WIDEST else RESAMPLES_OF_WIDE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficient)  # said once, for the plain value
        draws = generator.integers(count, size=(resamples, count))  # a pair's two clips stay together
        spread = float(np.std([distance(_chosen(real, draw), _chosen(made, draw)) for draw in draws]))
        limit = value if metric.formula == "kernel" else extrapolated(distance, real, made, generator)  # unbiased: same
    return {"value": value, "extrapolated": limit, "low": value - 1.96 * spread, "high": value + 1.96 * spread}


def _chosen(clips: Sequence[Features], indices: NDArray[np.int64]) -> Features:
    return np.concatenate([clips[index] for index in indices])


def read_cell(bench: Bench, cell: Cell) -> dict[str, float] | None:
    """What `compare_sets` found, or None where it was refused or failed."""
    try:
        known: dict[str, float] = json.loads(cell_path(bench, cell).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return known


def cell_path(bench: Bench, cell: Cell) -> Path:
    identities = [item.identity for each in (cell.method, bench.true_clips) for item in _items(bench, each, cell.pairs)]
    name = f"{key_of(cell.method)}-{short_hash(identities)}.json"
    return bench.run.output / "sets" / cell.metric.name / name


def _items(bench: Bench, method: Scored, pairs: Sequence[Pair]) -> list[Item]:
    return [Item(method, pair, bench.run.seeds[0]) for pair in pairs]  # one clip a pair, so that all sets are as large
