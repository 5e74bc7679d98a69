"""Image sequences: files in the order of their numbers.

    shot/                       all images of a folder: f_-002 .. f_0003, gaps and all
    shot/f_%04d.png             one sequence of it, as printf, FFmpeg and (f_####.exr) Nuke name it

A number may be negative: the minus is a sign unless a letter or digit stands before it (shot-002 is number 2). Where
one number alone differs from name to name it is the frame's number, and numbers that are left out are frames that are
not there. Numbers that are mostly gaps (photographs that were picked out) count nothing.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import gcd
from pathlib import Path

from gen_inbetween.runtime.hashing import file_sha256, files_sha256

IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jfif .webp .bmp .tif .tiff .ppm .pgm .pnm .tga .avif .heic .heif .jp2 .exr".split()
)
_NUMBER = re.compile(r"((?:(?<![^\W_])-)?\d+)")
_PLACE = re.compile(r"%(?:0?\d+)?d|#+")
_SAID = 8  # files or numbers that a message names at most


def is_pattern(path: Path) -> bool:
    """Whether a path is no file but names the files of a sequence: f_%04d.png, f_####.png."""
    return _PLACE.search(path.name) is not None and path.suffix.lower() in IMAGE_SUFFIXES and not path.exists()


def image_files(path: Path) -> list[Path]:
    """The images of a folder, or those a pattern names, in natural order: -1, 2, 10. Hidden files are none.

    Of a folder that is not there, none.
    """
    folder = path.parent if is_pattern(path) else path
    if not folder.is_dir():
        return []
    images = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    if is_pattern(path):
        place = _PLACE.search(path.name)
        assert place is not None
        before, after = path.name[: place.start()].replace("%%", "%"), path.name[place.end() :].replace("%%", "%")
        named = re.compile(f"{re.escape(before)}-?[0-9]+{re.escape(after)}")
        images = (file for file in images if named.fullmatch(file.name))
    return sorted(images, key=natural_order)


def with_images(paths: Iterable[str | os.PathLike[str] | None]) -> list[str | os.PathLike[str] | None]:
    """Inputs of a run and, of those that are folders or patterns, their images: no output may be one of them."""
    given = list(paths)
    folders = (Path(path) for path in given if path and "\0" not in os.fspath(path))
    return [*given, *(file for path in folders if path.is_dir() or is_pattern(path) for file in image_files(path))]


def source_sha256(path: Path) -> str:
    """Hash of a film: of a file's content; of a folder or pattern, of its images' names and contents."""
    return file_sha256(path) if path.is_file() else files_sha256(image_files(path))


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which numbers in names count as numbers.

    >>> [path.name for path in sorted(map(Path, ["f10.png", "F2.png", "f1.png"]), key=natural_order)]
    ['f1.png', 'F2.png', 'f10.png']
    >>> [path.name for path in sorted(map(Path, ["f_0001.png", "f_-002.png", "f_0000.png"]), key=natural_order)]
    ['f_-002.png', 'f_0000.png', 'f_0001.png']
    """
    parts = _NUMBER.split(path.name)
    keys = [(1, int(part), "") if _NUMBER.fullmatch(part) else (0, 0, part.lower()) for part in parts]
    return [*keys, (0, 0, path.name)]


def frame_steps(files: Sequence[Path]) -> list[int] | None:
    """The number of each frame, counted from the first one's in steps; None: the names do not count their frames.

    >>> frame_steps([Path("f_-2.png"), Path("f_-1.png"), Path("f_3.png"), Path("f_4.png")])
    [0, 1, 5, 6]
    >>> frame_steps([Path("0010.png"), Path("0020.png"), Path("0030.png")])
    [0, 1, 2]
    """
    numbers = frame_numbers(files)
    if numbers is None:
        return None
    step = gcd(*(after - before for before, after in pairwise(numbers)))
    steps = [(number - numbers[0]) // step for number in numbers]
    return steps if steps[-1] + 1 <= 2 * len(steps) else None


def frame_numbers(files: Sequence[Path]) -> tuple[int, ...] | None:
    """The number of each frame as its name says it; None: the names do not count their frames.

    >>> frame_numbers([Path("f_0001.png"), Path("f_0002.png")])
    (1, 2)
    """
    names = [_NUMBER.split(file.name) for file in files]
    if len(names) < 2 or len({tuple(name[::2]) for name in names}) > 1:
        return None
    varying = [column for column in zip(*(map(int, name[1::2]) for name in names), strict=True) if len(set(column)) > 1]
    if len(varying) != 1 or any(after <= before for before, after in pairwise(varying[0])):
        return None
    return varying[0]


def missing_frames(files: Sequence[Path]) -> str | None:
    """Which frames of a sequence are not there, in words; None: none that are known of.

    >>> missing_frames([Path("0001.png"), Path("0003.png"), Path("0004.png")])
    '1 frame is not there (after 0001.png)'
    """
    steps = frame_steps(files)
    if steps is None or not (count := steps[-1] + 1 - len(steps)):
        return None
    gaps = [file.name for file, (step, following) in zip(files, pairwise(steps), strict=False) if following > step + 1]
    places = ", ".join(gaps[:_SAID]) + (", ..." if len(gaps) > _SAID else "")
    return f"{count} frame{'s are' if count > 1 else ' is'} not there (after {places})"


def sequences_in(files: Sequence[Path]) -> list[str]:
    """The sequences among image files as patterns with their counts, and files that stand alone; [] for one sequence.

    >>> sequences_in([Path(f"{kind}_{number:04}.png") for kind in ("depth", "rgb") for number in range(3)])
    ['depth_%04d.png (3)', 'rgb_%04d.png (3)']
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in files:
        groups[tuple(_NUMBER.split(file.name.lower())[::2])].append(file)
    if len(groups) == 1 and frame_steps(files) is None:  # several numbers differ: the last one counts
        groups = defaultdict(list)
        for file in files:
            groups[tuple(_NUMBER.split(file.name.lower())[:-2]) or (file.name,)].append(file)
    if len(groups) < 2 or all(len(group) == 1 for group in groups.values()):
        return []
    return [_pattern(group) if len(group) > 1 else group[0].name for group in groups.values()]


def _pattern(files: Sequence[Path]) -> str:
    """What names all of the files, as printf does, and how many there are."""
    names = [_NUMBER.split(file.name) for file in files]
    parts = list(names[0])
    for index in range(1, len(parts), 2):
        texts = {name[index] for name in names}
        if len(texts) > 1:
            padded = len({len(text) for text in texts}) == 1 and any(text.startswith("0") for text in texts)
            parts[index] = f"%0{len(parts[index])}d" if padded else "%d"
    return f"{''.join(parts)} ({len(files)})"
