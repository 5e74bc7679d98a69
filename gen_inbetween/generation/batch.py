"""Batches: a list of pairs in, a folder of clips out.

Each line is {"frame0": path, "frame1": path, "out": name?, any setting ...}, or that as CSV; paths are relative
to the list. What stands in the output folder under its final name is finished (it is renamed there last), so a batch
that was stopped goes on where it was, and shards on machines that share the folder need no scheduler. Under
`accelerate launch` every process takes its share of the shard.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gen_inbetween.generation.settings import Settings
from gen_inbetween.media.writing.outputs import check_suffix
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.files import OutputError, address_of, check_writable
from gen_inbetween.runtime.hashing import short_hash
from gen_inbetween.runtime.lists import Row, read_rows
from gen_inbetween.runtime.processes import gather, launched_processes, share_of

log = logging.getLogger("gen_inbetween")

OWN_KEYS = ("frame0", "frame1", "out")


@dataclass(frozen=True)
class Pair:
    """One line of the list: two keyframe files, where the clip goes, and how it is made."""

    where: str  # "pairs.jsonl:3"
    frame0: Path
    frame1: Path
    out: Path
    settings: Settings


@dataclass
class Summary:
    """What became of a batch: counts, and one message ("pairs.jsonl:3: ...") for each line that failed."""

    generated: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8): the second of eight shards, counted from 1."""
    index, separator, count = text.partition("/")
    if not (separator and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ValueError(f"--shard {text!r}: expected i/n with 1 <= i <= n, for example 2/8")
    return int(index), int(count)


def read_pairs(
    path: str | os.PathLike[str], out: str | os.PathLike[str], defaults: Mapping[str, Any]
) -> list[Pair | str]:
    """The lines of a list, in order: a `Pair`, or for a line that cannot be one the message that says why.

    Args:
        path: JSON lines or CSV (`runtime.lists`); empty lines are passed over.
        out: the folder the clips go to.
        defaults: settings for every line; the line's own win.

    Raises:
        ValueError: the list itself cannot be read, is another kind of file, or holds no line at all.
    """
    path = Path(path)
    try:
        rows = read_rows(path, ("frame0", "frame1"), OWN_KEYS)
    except OSError as error:
        raise ValueError(f"{path}: cannot read the list of pairs: {error.strerror or error}") from error
    entries: list[Pair | str] = []
    lines_of: dict[Path, int] = {}
    for number, row in rows:
        try:
            pair = _parse(row, number, path, Path(out), defaults)
            if pair.out in lines_of:
                raise ValueError(f"the same output as line {lines_of[pair.out]}: {pair.out.name}")
        except (ValueError, OutputError) as error:
            entries.append(f"{path.name}:{number}: {error}")
            continue
        lines_of[pair.out] = number
        entries.append(pair)
    if not entries:
        raise ValueError(f'{path}: no pairs in it; expected one {{"frame0": ..., "frame1": ...}} a line')
    return entries


def _parse(values: Row, number: int, path: Path, out: Path, defaults: Mapping[str, Any]) -> Pair:
    if isinstance(values, str):
        raise ValueError(values)
    absent = [key for key in ("frame0", "frame1") if not isinstance(values.get(key), str)]
    if absent:
        raise ValueError(f"expected a file name under {' and '.join(absent)}")
    chosen = {**defaults, **{key: value for key, value in values.items() if key not in OWN_KEYS}}
    settings = from_mapping(Settings, chosen, where="settings")
    frame0, frame1 = path.parent / values["frame0"], path.parent / values["frame1"]
    name = values.get("out", _default_name(values, chosen))
    if address := address_of(str(name)):
        raise ValueError(f"cannot write {address}: it is an address; expected the name of a file")
    target = out / str(name)
    if not target.resolve().is_relative_to(out.resolve()) or target.resolve() == out.resolve():
        raise ValueError(f'"out" must name a file inside the output folder, got {name!r}')
    check_suffix(target, sheet=True)
    check_writable(target)
    return Pair(f"{path.name}:{number}", frame0, frame1, target, settings)


def _default_name(values: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    # The name carries what was asked for: lines may move in the list, and a changed setting is another clip.
    stems = f"{Path(values['frame0']).stem}_{Path(values['frame1']).stem}"
    return f"{stems}_{short_hash([values['frame0'], values['frame1'], chosen])}.mp4"


def run_batch(
    entries: list[Pair | str],
    *,
    shard: tuple[int, int] = (1, 1),
    notify: Callable[[Pair, str], None] = lambda pair, state: None,
) -> Summary:
    """Make the clips of this shard, in order, going on after a line that fails.

    Args:
        entries: what `read_pairs` returned.
        shard: (i, n): every n-th line, starting with the i-th.
        notify: called with each pair and "skipped", "made" or "failed".

    Returns:
        The summary of all processes of an `accelerate launch`, the same in each of them; otherwise of this one.
    """
    state = launched_processes()
    summary = Summary()
    for entry in share_of(entries[shard[0] - 1 :: shard[1]], state):
        if isinstance(entry, str):
            summary.failures.append(entry)
            log.error("%s", entry)
        elif entry.out.exists():
            summary.skipped += 1
            notify(entry, "skipped")
        else:
            notify(entry, _generate(entry, summary, device=None if state is None else str(state.device)))
    return _sum(gather([summary], state))


def _generate(pair: Pair, summary: Summary, device: str | None) -> str:
    from gen_inbetween.generation import generate  # here: a bad list is refused without waiting for torch

    settings = pair.settings if device is None else replace(pair.settings, device=device)
    try:
        pair.out.parent.mkdir(parents=True, exist_ok=True)
        generate.generate_clip(pair.frame0, pair.frame1, settings, progress=False).save(pair.out)
    except Exception as error:  # one bad pair must not cost the thousand after it; it is named and counted
        summary.failures.append(f"{pair.where}: {error}")
        log.error("%s", summary.failures[-1])
        log.debug("traceback", exc_info=True)
        return "failed"
    summary.generated += 1
    return "made"


def _sum(parts: list[Summary]) -> Summary:
    failures = [failure for part in parts for failure in part.failures]
    return Summary(sum(part.generated for part in parts), sum(part.skipped for part in parts), failures)
