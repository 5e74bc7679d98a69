"""Batches on a Ray cluster.

The list is read by Ray Data, sorted where rows differ in size or length, so that equal ones follow each other
(an actor compiles and plans once), and made by actors that hold the pipeline, each with a `batches.rows.RowMaker`; a
row of report for each goes into a folder of Parquet files. What is done is told by clips and manifests: the same
command again goes on where a killed one was.
"""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import numpy as np

from gen_inbetween.generation.batches.listed import COLUMNS, FAILED, FILES, INSTEAD, MADE, SKIPPED, Overlap
from gen_inbetween.runtime.lists import DELIMITERS, Row, column_names, json_row, row_of_cells
from gen_inbetween.runtime.remote.ray_engine import SET_ASIDE, Cluster, Result, Work, connect, rows_of, spread
from gen_inbetween.runtime.remote.stores import DoneIndex, Store, key_of, local_or_address

if TYPE_CHECKING:
    from ray.data import Dataset

    from gen_inbetween.generation.batches.rows import RowMaker

GROUPED = ("model", "method", "width", "height", "num_frames")  # settings by which a pipeline compiles and plans
CSV, PARQUET = (".csv", ".tsv"), ".parquet"  # endings of lists; all others are JSON lines
WORDS = (*COLUMNS, "out", *FILES)  # columns of a CSV that stay text
NAMED = 20  # failures that a summary keeps
FILE = 512  # rows of a file of the report: a million rows are not a million files
SHARD = (0, 0)  # of the index: all rows


@dataclass
class RayBatch:
    """A list, where its clips go, and how they are made."""

    pairs: str
    out: str
    defaults: dict[str, Any]
    overwrite: bool = False


@dataclass
class RaySummary:
    """What became of a batch: how many rows came to each state, the first failures, and where the report is."""

    report: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((MADE, SKIPPED, FAILED, SET_ASIDE), 0))
    failures: list[str] = field(default_factory=list)


def run_on_ray(job: RayBatch, cluster: Cluster, open_maker: Callable[..., RowMaker]) -> RaySummary:
    """Make the clips of a list on a cluster.

    open_maker: `RowMaker`, called in each actor with its arguments.

    Raises:
        ValueError: the list cannot be read, or two rows name one output. StoreError, ConnectionError, ImportError: what
            is needed is not there.
    """
    address = local_or_address(job.out)[1]
    if any(name.startswith("memory:") for name in (job.pairs, job.out)):
        raise ValueError("memory:// is one process's own; --engine ray needs a place that all its machines see")
    columns, count, several = check_list(job.pairs, job.out)
    connect(cluster)
    import ray

    keys = None if address is None else ray.put(DoneIndex(Store(address), SHARD).load().keys)
    said = read_list(job.pairs, columns)
    rows = said.map_batches(functools.partial(keyed, job=job), batch_size=1024)
    rows = rows.sort("group") if several else rows  # no row begins before all are read and sorted
    results = spread(rows, count or said.count(), functools.partial(open_rows, job, keys, open_maker), cluster)
    report = f"{job.out.rstrip('/')}/report/{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
    results.write_parquet(**place(report), min_rows_per_file=FILE)
    return summed(report)


def place(name: str) -> dict[str, Any]:
    """A path or an address as Ray takes it."""
    path, address = local_or_address(name)
    if address is None:
        assert path is not None
        return {"path": str(path.resolve())}
    store = Store(address)
    return {"path": store.root, "filesystem": store.fs}


def open_list(pairs: str) -> TextIOWrapper:
    """The list as text, read as it is asked for; StoreError, OSError: there is none."""
    path, address = local_or_address(pairs)
    if address is None:
        assert path is not None
        return path.open(encoding="utf-8-sig")
    store = Store(address)
    return TextIOWrapper(store.fs.open(store.root, "rb"), encoding="utf-8-sig")


def check_list(pairs: str, out: str = ".") -> tuple[list[str], int, bool]:
    """Look through a list, line by line: (the columns of a CSV, how many rows, whether they are of several groups).

    Of JSON lines there are no columns; of Parquet nothing is looked at before the work: ([], 0, True).

    ValueError: it is empty, no list, two of its rows name one output, or one names a picture of the list; what else
        may be wrong with a row is said in the report.
    """
    if pairs.endswith(PARQUET):
        return [], 0, True
    overlap, lines = Overlap(pairs, out), 0
    columns: list[str] = []
    groups: set[str] = set()
    try:
        with open_list(pairs) as text:
            reader: Iterator[Any] = csv.reader(text, delimiter=delimiter_of(pairs)) if pairs.endswith(CSV) else text
            for line in reader:
                if pairs.endswith(CSV) and not columns:
                    columns = column_names(line)
                    continue
                lines += bool(line) if columns else bool(line.strip())
                row = dict(zip(columns, line, strict=False)) if columns else json_row(line)
                overlap.add(row)
                if isinstance(row, dict) and len(groups) < 2:
                    groups.add(group_of(row))
    except UnicodeDecodeError as error:
        raise ValueError(f"{pairs} is not text in UTF-8 ({error.reason}): save it as UTF-8") from error
    if not lines:
        raise ValueError(f'{pairs}: no pairs in it; expected one {{"frame0": ..., "frame1": ...}} a line')
    if columns and not {*COLUMNS, *INSTEAD} & set(columns):
        raise ValueError(f"{pairs}: expected frame0,frame1,... in its first line, got {','.join(columns)[:100]}")
    overlap.check()
    if len(np.unique(np.asarray(overlap.written))) < len(overlap.written):
        raise ValueError(f"{pairs}: two rows have the same output")
    return columns, lines, len(groups) > 1


def delimiter_of(pairs: str) -> str:
    """What separates the cells of a CSV."""
    with open_list(pairs) as text:
        first = text.readline()
    return max(DELIMITERS, key=first.count)


def read_list(pairs: str, columns: list[str]) -> Dataset:
    """The rows of a list: text of JSON lines, cells of a CSV as text, values of Parquet."""
    import ray

    if pairs.endswith(PARQUET):
        return ray.data.read_parquet(**renamed(place(pairs)))
    if not columns:
        return ray.data.read_text(**renamed(place(pairs)), drop_empty_lines=True)
    import pyarrow
    import pyarrow.csv

    with open_list(pairs) as text:
        raw = next(csv.reader(text, delimiter=delimiter_of(pairs)))
    cells = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(raw, pyarrow.string()), strings_can_be_null=False)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter_of(pairs), newlines_in_values=True)
    return ray.data.read_csv(**renamed(place(pairs)), convert_options=cells, parse_options=parse)


def renamed(where: dict[str, Any]) -> dict[str, Any]:
    """`place` as Ray's readers call it."""
    return {"paths": where["path"], **{name: value for name, value in where.items() if name != "path"}}


def keyed(batch: dict[str, Any], job: RayBatch) -> dict[str, list[str]]:
    """Columns "key", "row" (as JSON) and "group" of rows as Ray reads them."""
    if list(batch) == ["text"]:
        said: list[Row] = [json_row(line) for line in batch["text"]]
    elif job.pairs.endswith(CSV):
        said = [
            row_of_cells({key.strip().lower(): str(cell) for key, cell in row.items()}, WORDS) for row in rows_of(batch)
        ]
    else:
        said = list(rows_of(batch))
    columns: dict[str, list[str]] = {"key": [], "row": [], "group": []}
    for row in said:
        text = json.dumps(row, sort_keys=True, default=str)
        values = {**job.defaults, **row} if isinstance(row, dict) else {}
        columns["key"].append(f"{int(key_of(text)):016x}")
        columns["row"].append(text)
        columns["group"].append(group_of(values))
    return columns


def group_of(row: dict[str, Any]) -> str:
    """What rows have in common for which a pipeline compiles and plans once."""
    return json.dumps([row.get(name) for name in GROUPED], default=str)


def open_rows(job: RayBatch, keys: Any, open_maker: Callable[..., RowMaker]) -> Work:
    """What an actor does with a row; the models it opens stay open."""
    import ray

    index = None
    if keys is not None:
        index = DoneIndex(Store(job.out), SHARD)
        index.keys = ray.get(keys)
    return RayRows(open_maker(job.pairs, job.out, job.defaults, index=index, overwrite=job.overwrite))


class RayRows:
    """A `RowMaker` as Ray's workers call it, which writes its index down when they end."""

    def __init__(self, maker: RowMaker) -> None:
        self.maker = maker

    def __call__(self, key: str, row: str) -> Result:
        """One row, as JSON."""
        return {"key": key, **asdict(self.maker(None, json.loads(row)))}

    def __del__(self) -> None:
        if self.maker.index is not None:
            self.maker.index.flush()


def summed(report: str) -> RaySummary:
    """Counts and the first failures of a report, read piece by piece."""
    import pyarrow.dataset

    where = place(report)
    summary = RaySummary(report)
    parts = pyarrow.dataset.dataset(where["path"], filesystem=where.get("filesystem"), format="parquet")
    for batch in parts.to_batches(columns=["where", "state", "why"]):
        for row in batch.to_pylist():
            summary.counts[row["state"]] = summary.counts.get(row["state"], 0) + 1
            if row["state"] in (FAILED, SET_ASIDE) and len(summary.failures) < NAMED:
                summary.failures.append(f"{row['where']}: {row['why']}")
    return summary
