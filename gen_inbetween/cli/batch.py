"""`inbetween batch`: many clips, in this process, by shards or over a Ray cluster."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import ConfigFile, Overrides, Overwrite, settings_of, settings_said

if TYPE_CHECKING:
    from gen_inbetween.generation.batch import Pair, Summary


@report_errors
def batch(
    pairs: Annotated[
        str,
        typer.Argument(metavar="PAIRS", help="The list, JSON lines or CSV: one pair a line; a path or s3://, gs://."),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="PLACE", help="The folder the clips go to; a path or s3://, gs://.")
    ],
    shard: Annotated[str, typer.Option(help="i/n: make every n-th line only, starting with the i-th.")] = "1/1",
    engine: Annotated[str, typer.Option(help="local: this process. ray: a Ray cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="ray: auto, or an address. [default: a new one here]")] = None,
    workers: Annotated[str, typer.Option(help="ray: actors, or fewest..most, as 2..64.")] = "1",
    gpus: Annotated[float, typer.Option("--gpus-per-worker", help="ray: 1, or a part of one.")] = 0,
    config: ConfigFile = None,
    override: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Make many clips; a second run goes on where the first stopped. Exit status 1 if a line failed."""
    from gen_inbetween.generation.batch import parse_shard
    from gen_inbetween.runtime.remote.ray_engine import Cluster, parse_workers
    from gen_inbetween.runtime.remote.stores import local_or_address

    chosen, cluster = parse_shard(shard), Cluster(address, parse_workers(workers), gpus)
    if engine not in ("local", "ray"):
        raise ValueError(f"--engine {engine!r}: expected local or ray")
    if engine == "local" and (address is not None or workers != "1" or gpus):
        raise ValueError("--address, --workers and --gpus-per-worker are for --engine ray")
    if engine == "ray" and shard != "1/1":
        raise ValueError("--shard is for --engine local: a cluster shares the list out by itself")
    places = [local_or_address(place) for place in (pairs, out)]
    if places[1][0] is not None and places[1][0].exists() and not places[1][0].is_dir():
        raise ValueError(f"{out} is a file; the clips go to a folder")
    settings_of(config, override)  # checked before the list is read
    said = settings_said(config, override)
    if engine == "ray":
        make_on_ray(pairs, out, said, overwrite, cluster)
        return
    if places[0][0] is not None and places[1][0] is not None:
        summary = make_here(places[0][0], places[1][0], said, overwrite, chosen)
    else:
        summary = make_from_stores(pairs, out, said, overwrite, chosen)
    if os.environ.get("RANK", "0") == "0":  # of several processes the first speaks for all
        typer.echo(f"{summary.generated} made, {summary.skipped} already there, {len(summary.failures)} failed")
    if summary.failures:
        raise typer.Exit(1)


def make_here(pairs: Path, out: Path, said: dict[str, Any], overwrite: bool, shard: tuple[int, int]) -> Summary:
    """From files to files."""
    from gen_inbetween.generation.batch import read_pairs, run_batch

    def notify(pair: Pair, state: str) -> None:
        typer.echo(f"{state}: {pair.out}")

    entries = read_pairs(pairs, out, said, overwrite=overwrite)
    return run_batch(entries, shard=shard, notify=notify, overwrite=overwrite)


def make_from_stores(pairs: str, out: str, said: dict[str, Any], overwrite: bool, shard: tuple[int, int]) -> Summary:
    """From or to an object store."""
    from gen_inbetween.generation.batches.listed import COLUMNS, FILES, INSTEAD, Overlap
    from gen_inbetween.generation.batches.rows import RowMaker, run_rows
    from gen_inbetween.runtime.lists import read_rows
    from gen_inbetween.runtime.remote.stores import DoneIndex, Store, local_or_address

    path, address = local_or_address(pairs)
    target = local_or_address(out)[1]
    with tempfile.TemporaryDirectory(prefix="inbetween-") as folder:
        if address is not None:
            base, _, name = address.rpartition("/")
            path = Store(base).fetch(name, Path(folder) / name)
        assert path is not None
        rows = read_rows(path, COLUMNS, ("out", *FILES), INSTEAD)
    if not rows:
        raise ValueError(f'{pairs}: no pairs in it; expected one {{"frame0": ..., "frame1": ...}} a line')
    overlap = Overlap(pairs, out)
    for _, row in rows:
        overlap.add(row)
    overlap.check()
    index = None if target is None else DoneIndex(Store(target), shard).load()
    maker = RowMaker(address or str(path), target or out, said, index=index, overwrite=overwrite)
    return run_rows(maker, rows, shard=shard, notify=lambda report: typer.echo(f"{report.state}: {report.out}"))


def make_on_ray(pairs: str, out: str, said: dict[str, Any], overwrite: bool, cluster: Any) -> None:
    """Over a cluster."""
    from gen_inbetween.generation.batches.on_ray import RayBatch, run_on_ray
    from gen_inbetween.generation.batches.rows import RowMaker

    summary = run_on_ray(RayBatch(pairs, out, said, overwrite), cluster, RowMaker)
    for failure in summary.failures:
        typer.echo(f"failed: {failure}", err=True)
    made, skipped, *bad = summary.counts.values()
    typer.echo(f"{made} made, {skipped} already there, {sum(bad)} failed; {summary.report}")
    if any(bad):
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(
        epilog="""\b
Each line of the list: {"frame0": "a.png", "frame1": "b.png", "out": "name.mp4", "seed": 3, ...}
or CSV whose first line is frame0,frame1,out,seed,...
Paths are relative to the list; "out" and the settings may be left away.
\b
Examples:
  inbetween batch pairs.jsonl --out clips/
  inbetween batch pairs.jsonl --out clips/ --shard 2/8 --set method=trf
  inbetween batch s3://bucket/pairs.jsonl --out s3://bucket/clips
  inbetween batch pairs.jsonl --out clips/ --engine ray --address auto --workers 2..64 --gpus-per-worker 1
  accelerate launch --multi-gpu -m gen_inbetween.cli batch pairs.jsonl --out clips/"""
    )(batch)
