"""Leftovers of runs that were killed: what is there, and why.

.inbetween-...                 temporaries and locks of processes that are gone; the next run that writes in their
                               folder throws them away, too
.NAME.DIGEST.parts/            finished pieces of a video; the same run again goes on with them
.NAME.HEX12.SUFFIX           temporaries as they were called before version 0.3; older than an hour here, as
                               nothing tells whether their processes run
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gen_inbetween.runtime.files import OURS, PREFIX, remove, short_name, sweep, take_lock

PARTS = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.parts")
EARLIER = re.compile(r"\..+\.[0-9a-f]{12}(\.[^.]+)?(\.before)?")
HOUR = 3600.0


@dataclass(frozen=True)
class Leftover:
    """A file or folder that no run needs."""

    path: Path
    why: str

    @property
    def size(self) -> int:
        """Bytes on the disk, as far as they can be told."""
        if not self.path.is_dir() or self.path.is_symlink():
            return _bytes_of(self.path)
        return sum(_bytes_of(Path(name, file)) for name, _, files in os.walk(self.path) for file in files)


def _bytes_of(file: Path) -> int:
    with suppress(OSError):
        return file.lstat().st_size
    return 0


def find_leftovers(folder: str | os.PathLike[str]) -> Iterator[Leftover]:
    """What killed runs left in a folder and inside of it; nothing that a run which is going on may need.

    NotADirectoryError: no such folder.
    """
    top = Path(folder)
    if not top.is_dir():
        raise NotADirectoryError(f"no such folder: {top}")
    for name, folders, files in os.walk(top):
        here = Path(name)
        killed = sweep(here, delete=False)
        yield from (Leftover(path, "left by a run that was killed") for path in killed)
        writing = {short_name(output) for output in outputs_in_work(here)}
        for entry in sorted([*folders, *files]):
            path = here / entry
            if (parts := PARTS.fullmatch(entry)) and path.is_dir():
                if parts["name"] not in writing:
                    yield Leftover(path, "finished pieces of a video; the same run again would go on there")
            elif EARLIER.fullmatch(entry) and not OURS.fullmatch(entry) and time.time() - path.lstat().st_mtime > HOUR:
                yield Leftover(path, "left by an earlier version")
        folders[:] = [entry for entry in folders if not (PARTS.fullmatch(entry) or OURS.fullmatch(entry))]


def sweep_below(folder: str | os.PathLike[str]) -> None:
    """Throw away what killed runs left in a folder and inside of it; a run's own sweep looks where it writes only."""
    for name, _, _ in os.walk(folder):
        sweep(Path(name))


def outputs_in_work(folder: Path) -> list[str]:
    """The names of the outputs in a folder that runs are writing now."""
    names = []
    for file in folder.glob(f"{PREFIX}*.lock"):
        with suppress(OSError):
            lock = take_lock(file)
            if lock is None:
                names.append(os.fsdecode(file.read_bytes()))
            else:
                os.close(lock)
    return names


def delete_leftover(leftover: Leftover) -> None:
    """Delete it, unless a run has begun to need it; OSError where that fails."""
    if OURS.fullmatch(leftover.path.name):
        sweep(leftover.path.parent)
    else:
        remove(leftover.path)
    if os.path.lexists(leftover.path):
        raise OSError(f"could not remove {leftover.path}")
