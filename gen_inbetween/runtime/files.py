"""Atomic writing of files and folders: whole or not at all.

What is written stands under a temporary name beside its place until it is whole, and is then renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

UMASK = os.umask(0)  # can only be read by setting it
os.umask(UMASK)


class OutputError(OSError):
    """An output cannot be written: the folder is missing or closed to us, the disk is full."""


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OutputError unless `path` could be created; to be asked before an hour of work. Writes nothing.

    Missing folders on the way are fine, `replaced` makes them.
    """
    path = Path(path)
    ancestor = next(folder for folder in (path.absolute().parent, *path.absolute().parents) if folder.exists())
    if not ancestor.is_dir():
        raise OutputError(f"cannot write {path}: {ancestor} is a file, expected a folder")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {ancestor}; choose another folder")


@contextmanager
def replaced(path: str | os.PathLike[str], replace: Callable[[Path, Path], object] = os.replace) -> Iterator[Path]:
    """Yield a temporary path in the same folder with the same suffix; what is written there takes the place of `path`.

    If any exception leaves the block, Ctrl-C included, `path` is untouched and the temporary file or folder is gone.

    Args:
        path: where the output shall stand. Missing parent folders are made.
        replace: moves (temporary, path) at the end.

    Raises:
        OutputError: in place of any OSError of the block, naming `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_file():  # safetensors makes its files private; ours are as open as any other new file
            temporary.chmod(0o666 & ~UMASK)
        replace(temporary, path)
    except OSError as error:
        raise OutputError(f"could not write {path}: {error.strerror or error}; nothing was left there") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(NotADirectoryError):  # the parent is a file, which is the error that is on its way
                temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a file of UTF-8 text, all of it or nothing; OutputError where that fails. Returns the path."""
    path = Path(path)
    with replaced(path) as temporary:
        temporary.write_bytes(text.encode())  # not write_text: the same lines on every system
    return path


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write a value as indented JSON, as `write_text` does."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


def write_json_lines(path: str | os.PathLike[str], rows: Iterable[Any]) -> Path:
    """Write each value as one line of JSON, as `write_text` does."""
    return write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def save_image(path: str | os.PathLike[str], image: Image.Image) -> Path:
    """Save a PIL image in the format of the path's extension, as `write_text` does."""
    path = Path(path)
    with replaced(path) as temporary:
        image.save(temporary)
    return path


def replace_folder(temporary: Path, path: Path) -> None:
    """What `replaced` takes as `replace` for a folder that may stand there already."""
    if not path.exists():
        os.replace(temporary, path)
        return
    before = path.with_name(temporary.name + ".before")  # a folder that is not empty cannot be replaced in one step
    os.replace(path, before)
    try:
        os.replace(temporary, path)
    except BaseException:
        os.replace(before, path)
        raise
    shutil.rmtree(before)
