"""Frozen lists of pairs, read and written as JSON lines.

A list says which clips a method is measured on, so that anyone can measure on the same. A list is a JSON-lines file.
The first line says what it is, every other line is one pair.

    {"format": "gen_inbetween pairs 1", "name": "packages", "made_by": "python eval/prepare.py ...", "note": "..."}
    {"name": "cam01-000-25", "source": {...}, "num_frames": 25, "fps": 60, "motion": 1.73, "sha256": "...", ...}

It holds no pictures: the sources of its pairs say where they come from, and hashes whether they are still the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gen_inbetween.evaluation.pairs.pair import EXACTLY, Pair, PairError
from gen_inbetween.evaluation.pairs.sources import TrueClip, open_pair
from gen_inbetween.runtime.config import first_problem
from gen_inbetween.runtime.files import write_json_lines
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.lists import lines_of, read_text

__all__ = ["Pair", "PairError", "PairList", "TrueClip", "open_pair", "read_list", "write_list"]

FORMAT = "gen_inbetween pairs 1"


@dataclass(frozen=True)
class PairList:
    """What a file of pairs says, and the hash of the file."""

    name: str
    sha256: str
    made_by: str  # the command
    note: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class _Header:
    __pydantic_config__ = EXACTLY

    format: str
    name: str
    made_by: str
    note: str


def read_list(path: str | os.PathLike[str]) -> PairList:
    """Read a list of pairs, strictly.

    Raises:
        PairError: naming file and line: not there, not JSON, another format, an unknown, missing or impossible value,
            a name that stands twice, no pair at all.
    """
    path = Path(path)
    try:
        lines = lines_of(read_text(path))
    except (OSError, ValueError) as error:
        raise PairError(f"{path}: cannot read the list of pairs: {error}") from error
    if not lines:
        raise PairError(f"{path} is empty; expected a header line and one pair a line, as eval/prepare.py writes them")
    header: _Header = _parsed(_Header, lines[0], f"{path}:1")
    if header.format != FORMAT:
        raise PairError(f"{path}:1: expected the format {FORMAT!r}, got {header.format!r}")
    pairs: list[Pair] = [_parsed(Pair, line, f"{path}:{number}") for number, line in enumerate(lines[1:], 2)]
    _check_names(pairs, str(path))
    return PairList(header.name, file_sha256(path), header.made_by, header.note, tuple(pairs))


def write_list(
    path: str | os.PathLike[str], pairs: Sequence[Pair], *, name: str, made_by: str, note: str = ""
) -> PairList:
    """Write a list whole or not at all; returns it as `read_list` would. PairError, OutputError as there."""
    _check_names(pairs, str(path))
    rows = [asdict(_Header(FORMAT, name, made_by, note)), *map(_row, pairs)]
    write_json_lines(path, rows)
    return read_list(path)


def _row(pair: Pair) -> dict[str, Any]:
    """What a line says; that there are two keyframes goes without saying."""
    return {name: value for name, value in asdict(pair).items() if (name, value) != ("keyframes", 2)}


def _parsed(kind: Any, line: str, where: str) -> Any:
    try:
        return TypeAdapter(kind).validate_json(line, strict=True)
    except ValidationError as error:
        raise PairError(f"{where}: {first_problem(error)}") from None


def _check_names(pairs: Sequence[Pair], where: str) -> None:
    if not pairs:
        raise PairError(f"{where}: the list holds no pair")
    seen: dict[str, int] = {}
    for line, pair in enumerate(pairs, 2):
        before = seen.setdefault(pair.name.lower(), line)
        if before != line:
            raise PairError(f"{where}:{line}: the name {pair.name!r} stands on line {before} already")
