"""Films from a pipe, kept in a temporary file.

A film is read more than once (for its times, then for its frames, then for its sound), a pipe can be read once only. So
what comes through it is stored, on disk, until the program ends.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from gen_inbetween.media.source import VideoError
from gen_inbetween.runtime.files import OutputError

log = logging.getLogger("gen_inbetween")

PIPE = "-"  # the path that means standard input, or standard output


def is_pipe(path: object) -> bool:
    """Whether a path means standard input or output; a file of that name is written ./-"""
    return isinstance(path, str | os.PathLike) and os.fspath(path) == PIPE


@cache
def stored_input() -> Path:
    """The file that all of standard input is stored in, once in a process.

    Raises:
        VideoError: nothing is piped in. OutputError: the disk is full.
    """
    stream = sys.stdin.buffer
    if stream.isatty():
        raise VideoError("- is standard input, and nothing is piped into it: name a file, or pipe a film (y4m, ...)")
    descriptor, name = tempfile.mkstemp(prefix="inbetween-", suffix=".piped")
    atexit.register(Path(name).unlink, missing_ok=True)
    try:
        with open(descriptor, "wb") as file:
            shutil.copyfileobj(stream, file, 2**20)
    except OSError as error:
        folder = Path(name).parent
        raise OutputError(
            f"the film from standard input does not go into {folder} ({error.strerror}): "
            "set TMPDIR to a folder with room"
        ) from error
    if not (size := Path(name).stat().st_size):
        raise VideoError("standard input ended without a film: the program that should write it wrote nothing")
    log.info("standard input: %.1f MB", size / 1e6)
    return Path(name)
