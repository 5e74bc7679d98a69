"""Atomic writing of files and folders: whole or not at all.

What is written stands under a temporary name beside its place until it is whole, and is then renamed. The name says
which process writes it, and a locked file beside it whether that process still runs: what a killed one left is thrown
away by the next that writes there (`sweep`).
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

SHORT = 64  # bytes of a name's stem that names made from it carry
LONGEST = 255  # bytes of a name on the usual file systems, where the system does not say
LONGEST_KEPT = 64 * 2**20  # letters of a JSON file that is read back
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # one letter is a drive of Windows
PREFIX = ".inbetween-"
OURS = re.compile(rf"{re.escape(PREFIX)}(?P<owner>[0-9a-f]{{12}})(?:-\d+.*|(?P<lock>\.lock))?")


class OutputError(OSError):
    """An output cannot be written: the folder is missing or closed to us, the disk is full."""


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OutputError unless `path` could be created; to be asked before an hour of work. Writes nothing.

    Missing folders on the way are fine, `replaced` makes them.
    """
    if address := address_of(path):
        raise OutputError(f"cannot write {address}: it is an address; expected the name of a file or a folder")
    path = Path(path)
    place = real_place(path).absolute()
    if os.path.islink(place):
        raise OutputError(f"cannot write {path}: it is a symbolic link that leads to itself; name another output")
    if not place.name:
        raise OutputError(f"cannot write {path}: it is a whole disk; name a file or a folder in it")
    if (absent := absent_detour(place)) is not None:
        raise OutputError(f"cannot write {path}: it leads back out of {absent}, which is no folder; leave that away")
    ancestor = next(folder for folder in place.parents if os.path.exists(folder))  # False, too, for too long a name
    if not ancestor.is_dir():
        raise OutputError(f"cannot write {path}: {ancestor} is a file, expected a folder")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {ancestor}; choose another folder")
    longest = os.pathconf(ancestor, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST
    for name in place.relative_to(ancestor).parts:
        if (count := len(os.fsencode(name))) > longest:
            raise OutputError(f"cannot write {path}: a name has at most {longest} bytes here, this one {count}")


def absent_detour(path: Path) -> Path | None:
    """The folder that a path goes back out of (missing/../x) and that is not there; None: there is no such.

    Nothing that stands behind it is found by that path, so what is there would be replaced unasked.
    """
    before = (Path(*path.parts[:number]) for number, part in enumerate(path.parts) if part == "..")
    return next((folder for folder in before if not os.path.isdir(folder)), None)


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


def refused_address(address: str) -> str:
    """What to say of an address (URL) where a file is expected.

    >>> refused_address("file://home/ann/film.mp4")  # as `address_of` gives file:///home/...
    'file:///home/ann/film.mp4 is an address, not a path: give the path alone, /home/ann/film.mp4'
    >>> refused_address("https://example.com/film.mp4")
    'https://example.com/film.mp4 is an address, not a file: download it first'
    """
    scheme, _, place = address.partition("://")
    if scheme.lower() == "file":
        return f"file:///{place} is an address, not a path: give the path alone, /{place}"
    return f"{address} is an address, not a file: download it first"


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


def real_place(path: Path) -> Path:
    """Where what is written to `path` stands: a symbolic link stays one, and what it points to is replaced."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path


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
    place = real_place(path)
    try:
        with parents_of(place), writing_in(place.parent):
            # The suffix of a sentence is all after its last dot, and too long to be a format's.
            suffix = place.suffix if len(os.fsencode(place.suffix)) <= SHORT else ""
            temporary = place.with_name(f"{PREFIX}{_owner.name}-{next(_owner.numbers)}{suffix}")
            try:
                yield temporary
                if temporary.is_file():  # safetensors makes its files private; ours are as open as any other new file
                    temporary.chmod(0o666 & ~umask())
                replace(temporary, place)
            finally:
                remove(temporary)
    except OSError as error:
        raise OutputError(f"could not write {path}: {error.strerror or error}; nothing was left there") from error


@contextmanager
def parents_of(path: Path) -> Iterator[None]:
    """Make the folders on the way to `path`; those of them that are still empty at the end are taken away again."""
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()


def umask() -> int:
    """The permissions that new files of this process do not get.

    Linux tells it; elsewhere it can only be read by setting it, which other threads may notice.
    """
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(NotADirectoryError):  # the parent is a file
            path.unlink(missing_ok=True)


def take_lock(path: Path) -> int | None:
    """Lock `path`, a file made for that, until `end_lock` or the end of the process; None: somebody holds it.

    Where a file system has no locks nobody is kept out.
    """
    while True:
        if fcntl is None:  # on Windows no file that is open can be deleted: that is the lock
            with suppress(FileNotFoundError):
                try:
                    path.unlink()
                except PermissionError:
                    return None
            with suppress(FileExistsError):
                return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            return None
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            return lock
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        os.close(lock)  # whoever held it deleted the file in the meantime


def end_lock(path: Path, lock: int) -> None:
    """Delete the file of a lock and give it back."""
    if fcntl is None:
        os.close(lock)
    with suppress(OSError):
        path.unlink()
    if fcntl is not None:
        os.close(lock)


class Owner:
    """This process, as the one whose temporaries are in use: in each folder it writes in it holds a locked file."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex[:12]
        self.numbers = itertools.count()
        self.guard = threading.RLock()
        self.locks: dict[Path, int] = {}
        self.writers: dict[Path, int] = {}
        self.swept: set[Path] = set()

    def renew(self) -> None:
        """In a forked child: another process, which holds none of its parent's locks."""
        for lock in self.locks.values():
            with suppress(OSError):
                os.close(lock)
        self.__init__()  # type: ignore[misc]

    @contextmanager
    def writing_in(self, folder: Path) -> Iterator[None]:
        """See the function of this name."""
        folder = Path(os.path.realpath(folder))  # one folder under two names would wait for its own lock
        mine = folder / f"{PREFIX}{self.name}"
        with self.guard:
            if folder not in self.swept:
                self.swept.add(folder)
                sweep(folder)
            while folder not in self.locks:  # a sweeper may try for a moment whether it is in use
                if (lock := take_lock(mine)) is not None:
                    self.locks[folder] = lock
            self.writers[folder] = self.writers.get(folder, 0) + 1
        try:
            yield
        finally:
            with self.guard:
                self.writers[folder] -= 1
                if not self.writers[folder] and folder in self.locks:
                    end_lock(mine, self.locks.pop(folder))


_owner = Owner()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_owner.renew)


def owner() -> Owner:
    """This process."""
    return _owner


def writing_in(folder: Path) -> AbstractContextManager[None]:
    """Say that temporaries in this folder are in use; before the first, throw away what killed processes left."""
    return _owner.writing_in(folder)


def sweep(folder: Path, *, delete: bool = True) -> list[Path]:
    """Throw away the temporaries in `folder` whose processes are gone, and their locks.

    Args:
        folder: only this folder is looked into, none inside of it.
        delete: False only finds them.

    Returns:
        What was found.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(PREFIX))
    except OSError:
        return []
    owners: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        if (match := OURS.fullmatch(name)) and match["owner"] != _owner.name:
            owners.setdefault((match["owner"], match["lock"] is not None), []).append(name)
    found = []
    for (owner, is_lock), theirs in owners.items():
        held = folder / (f"{PREFIX}{owner}.lock" if is_lock else f"{PREFIX}{owner}")
        lock = None
        if held.exists():
            with suppress(OSError):
                lock = take_lock(held)
            if lock is None:
                continue
        paths = [folder / name for name in theirs]
        found += paths
        if delete:
            for path in paths:
                if path != held:
                    with suppress(OSError):
                        remove(path)
        if lock is not None and delete:
            end_lock(held, lock)
        elif lock is not None:
            os.close(lock)
    return found


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a file of UTF-8 text, all of it or nothing; OutputError where that fails. Returns the path."""
    path = Path(path)
    with replaced(path) as temporary:
        temporary.write_bytes(text.encode())  # not write_text: the same lines on every system
    return path


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write a value as indented JSON, as `write_text` does."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


def read_kept(path: Path) -> dict[str, Any]:
    """The object that `write_json` wrote to a file; {} where there is none, or something else stands there."""
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(LONGEST_KEPT))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json_lines(path: str | os.PathLike[str], rows: Iterable[Any]) -> Path:
    """Write each value as one line of JSON, as `write_text` does."""
    return write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> Path:
    """Write tensors as a safetensors file, whole or not at all. OutputError: it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with replaced(path) as temporary:
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, dict(header))
        except SafetensorError as error:  # what a full disk is called here
            raise OSError(str(error)) from error
    return Path(path)


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
    elif not exchange(temporary, path):
        before = temporary.with_name(temporary.name + ".before")  # one that is not empty cannot be replaced in one step
        os.replace(path, before)
        try:
            os.replace(temporary, path)
        except BaseException:
            os.replace(before, path)
            raise
        shutil.rmtree(before)


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders change places in one step, where the system can; False: it cannot."""
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    call = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), swap) == 0
