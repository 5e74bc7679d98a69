"""Atomic writing of files and folders: whole or not at all.

What is written stands under a temporary name beside its place until it is whole, and is then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
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

SHORT = 64  # bytes of a name's stem that names made from it carry
LONGEST = 255  # bytes of a name on the usual file systems, where the system does not say
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # one letter is a drive of Windows


class OutputError(OSError):
    """An output cannot be written: the folder is missing or closed to us, the disk is full."""


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OutputError unless `path` could be created; to be asked before an hour of work. Writes nothing.

    Missing folders on the way are fine, `replaced` makes them.
    """
    if address := address_of(path):
        raise OutputError(f"cannot write {address}: it is an address; expected the name of a file or a folder")
    path = Path(path)
    ancestor = next(
        folder for folder in (path.absolute().parent, *path.absolute().parents) if os.path.exists(folder)
    )  # False, too, for too long a name
    if not ancestor.is_dir():
        raise OutputError(f"cannot write {path}: {ancestor} is a file, expected a folder")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {ancestor}; choose another folder")
    longest = os.pathconf(ancestor, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST
    for name in path.absolute().relative_to(ancestor).parts:
        if (count := len(os.fsencode(name))) > longest:
            raise OutputError(f"cannot write {path}: a name has at most {longest} bytes here, this one {count}")


def address_of(path: str | os.PathLike[str]) -> str | None:
    """The address (URL) that was given in place of a path, None where it is a path; pathlib leaves one slash of two.

    >>> address_of("https:/example.com/film.mp4")
    'https://example.com/film.mp4'
    >>> address_of("12:30.mp4")
    """
    text = os.fspath(path)
    found = _ADDRESS.match(text)
    if found is None or os.path.exists(text) or os.path.exists(f"{found[1]}:"):
        return None
    return f"{found[1]}://{text[found.end() :]}"


def file_url(path: str | os.PathLike[str]) -> str:
    """A path as FFmpeg takes it whatever stands in it: of "12:30.mp4" it would take the 12 for a protocol.

    >>> file_url("12:30.mp4")
    'file:12:30.mp4'
    """
    return f"file:{os.fspath(path)}"


def short_name(name: str) -> str:
    """`name`, or of a long one its beginning and a hash: so many bytes that more can be added to it.

    >>> short_name("clip.mp4")
    'clip.mp4'
    """
    encoded = os.fsencode(name)
    if len(encoded) <= SHORT:
        return name
    return encoded[: SHORT - 9].decode("utf-8", "ignore") + "-" + hashlib.sha256(encoded).hexdigest()[:8]


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
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= SHORT else ""  # all after the first dot of a sentence
    temporary = path.with_name(f".{short_name(path.name.removesuffix(suffix))}.{uuid.uuid4().hex[:12]}{suffix}")
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
