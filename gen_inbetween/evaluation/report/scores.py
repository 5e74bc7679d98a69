"""Score arrays of a run, read from `results.jsonl`.

A row a clip becomes a (pair, seed) table for each method and metric.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.evaluation.settings import TRUTH, EvaluationError
from gen_inbetween.runtime.lists import lines_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Pairs that a table or plot shows together."""

    label: str
    members: NDArray[np.bool_]  # (pairs,)


@dataclass(frozen=True)
class Scores:
    """Everything `results.jsonl` says. Order of methods and pairs: as they first appear there."""

    methods: tuple[str, ...]  # without the true clips, whose scores are in `table` as those of TRUTH
    pairs: tuple[str, ...]
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    gap: Array  # (pairs,) frames of the true clip, keyframes included
    motion: Array  # (pairs,) `Pair.motion`
    table: Mapping[tuple[str, str], Array]  # (metric, method) -> (pairs, seeds), NaN: no clip, or does not apply
    clips: Mapping[tuple[str, str, int], str | None]  # (method, pair, seed) -> its frames, as the row names them
    passes: Mapping[str, Array]  # method -> UNet passes of each clip
    seconds: Mapping[str, Array]  # method -> seconds of each clip

    def by_pair(self, metric: str, method: str) -> Array:
        """(pairs,) the mean over a pair's seeds, NaN where none has a value."""
        return _mean_over_seeds(self.table[metric, method])

    def off_truth(self, metric: str, method: str) -> Array:
        """(pairs,) how far a clip's value is from that of the true clip, mean over a pair's seeds.

        For measures that are best where they equal the truth's; NaN throughout where the true clips were not scored.
        """
        truth = self.table.get((metric, TRUTH))
        table = self.table[metric, method]
        return _mean_over_seeds(table * np.nan if truth is None else np.abs(table - _mean_over_seeds(truth)[:, None]))

    def seed_of(self, method: str, pair: str) -> int | None:
        """Which seed stands for a pair in a picture: the first of which there is a clip."""
        return next((seed for seed in self.seeds if (method, pair, seed) in self.clips), None)

    def by_gap(self) -> list[Group]:
        """The pairs by the length of their gap."""
        return [Group(f"{gap:g}", self.gap == gap) for gap in np.unique(self.gap)]

    def by_motion(self) -> list[Group]:
        """The pairs in three groups of about equal size by how much moves; fewer where many move equally much."""
        borders = np.unique(np.quantile(self.motion, [1 / 3, 2 / 3]))
        groups = np.searchsorted(borders, self.motion, side="left")
        members = [groups == number for number in np.unique(groups)]
        ranges = [(float(self.motion[each].min()), float(self.motion[each].max())) for each in members]
        return [Group(label, each) for label, each in zip(_labels(ranges), members, strict=True)]


def _mean_over_seeds(table: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy's "mean of empty slice": that pair has no value
        return np.asarray(np.nanmean(table, axis=1))


def _labels(ranges: Sequence[tuple[float, float]]) -> list[str]:
    """Ranges in words, with two digits, or as many more as tell them apart: they head the columns of a table.

    >>> _labels([(0.5, 1.0), (1.21, 1.21), (1.23, 1.23)])
    ['0.5 to 1', '1.21', '1.23']
    """
    labels: list[str] = []
    for digits in range(2, 18):
        ends = [(f"{low:.{digits}g}", f"{high:.{digits}g}") for low, high in ranges]
        labels = [low if low == high else f"{low} to {high}" for low, high in ends]
        if len(set(labels)) == len(labels):
            break
    return labels


def read_scores(*paths: str | os.PathLike[str], methods: Collection[str] | None = None) -> Scores:
    """Read `results.jsonl`, or several: of one evaluation's stretches, or of other methods on the same pairs.

    Args:
        methods: whose rows are taken, beside the true clips', which may be in several files; None: all.

    Raises:
        EvaluationError: a file is missing or not as the harness writes it (the message says which line), no row is
            left, or a clip is there twice.
    """
    rows = [
        row
        for path in paths
        for number, line in enumerate(_lines(Path(path)), 1)
        if (row := _row(line, f"{path}:{number}"))["method"] == TRUTH or methods is None or row["method"] in methods
    ]
    true_clips = {(row["pair"], row["seed"]): row for row in reversed(rows) if row["method"] == TRUTH}
    rows = [row for row in rows if row["method"] != TRUTH or row is true_clips[row["pair"], row["seed"]]]
    if not rows:
        raise EvaluationError(f"{paths[-1]} has no rows: no clip was scored, so there is nothing to report")
    counted = Counter((row["method"], row["pair"], row["seed"]) for row in rows)
    twice = next((key for key, count in counted.items() if count > 1), None)
    if twice is not None:
        raise EvaluationError(f"{', '.join(map(str, paths))}: {twice[0]}, {twice[1]}, seed {twice[2]} is there twice")
    names, pairs = _in_order(rows, "method"), _in_order(rows, "pair")
    seeds, metrics = sorted(_in_order(rows, "seed")), _metrics(rows)
    of_pair = {row["pair"]: row for row in rows}
    place = {name: index for index, name in enumerate(pairs)}
    table = {(metric, method): np.full((len(pairs), len(seeds)), np.nan) for metric in metrics for method in names}
    for row in rows:
        for metric, value in row["scores"].items():
            table[metric, row["method"]][place[row["pair"]], seeds.index(row["seed"])] = _number(value)
    return Scores(
        tuple(name for name in names if name != TRUTH),
        tuple(pairs),
        tuple(seeds),
        tuple(metrics),
        gap=np.array([_number(of_pair[pair]["gap"]) for pair in pairs]),
        motion=np.array([_number(of_pair[pair]["motion"]) for pair in pairs]),
        table=table,
        clips={(row["method"], row["pair"], row["seed"]): row["clip"] for row in rows},
        passes={method: _column(rows, method, "passes") for method in names},
        seconds={method: _column(rows, method, "seconds") for method in names},
    )


def _lines(path: Path) -> list[str]:
    try:
        return lines_of(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(
            f"{path}: cannot read the results: {error.strerror or error}; run the evaluation"
        ) from error


def _row(line: str, where: str) -> dict[str, Any]:
    keys = {"method", "pair", "seed", "gap", "motion", "passes", "seconds", "clip", "scores"}
    try:
        row = json.loads(line)
        missing = keys - row.keys()
    except (ValueError, AttributeError) as error:
        raise EvaluationError(f"{where}: expected a JSON object with {', '.join(sorted(keys))}: {error}") from None
    if missing:
        raise EvaluationError(f"{where}: the row lacks {', '.join(sorted(missing))}")
    return dict(row)


def _in_order(rows: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(metric for row in rows for metric in row["scores"]))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _column(rows: Sequence[Mapping[str, Any]], method: str, key: str) -> Array:
    return np.array([_number(row[key]) for row in rows if row["method"] == method])
