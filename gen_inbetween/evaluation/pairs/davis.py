"""Pairs from a local copy of DAVIS-2017 (davischallenge.org).

The dataset is not distributed here.

    ROOT/JPEGImages/480p/bear/00000.jpg           or 1080p/, or Full-Resolution/ as the 2017 archive calls it
    ROOT/ImageSets/2017/train.txt, val.txt, ...   names of sequences, one a line; without them every folder is taken

From each sequence the windows [0, 25), [25, 50), ... are taken, all of them: no choice by motion or taste, so that the
list follows from the dataset alone. Frames after the last whole window are left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gen_inbetween.evaluation.pairs.make_list import UNREADABLE, Progress, Refusals, frames_source
from gen_inbetween.evaluation.pairs.pair import Pair, PairError
from gen_inbetween.evaluation.pairs.sources import read_files
from gen_inbetween.evaluation.pairs.windows import motion_amount
from gen_inbetween.runtime.hashing import frames_sha256

FOLDERS = {"1080p": ("1080p", "Full-Resolution"), "480p": ("480p",)}
FPS = 24
LICENSE = "as DAVIS-2017 states it (davischallenge.org); not distributed here"


def davis_folder(root: Path, resolution: str) -> Path:
    """Where the sequences are; PairError says what is there instead."""
    images = root / "JPEGImages"
    if not images.is_dir():
        raise PairError(f"{root} is not laid out as DAVIS-2017: expected the folder JPEGImages in it")
    folder = next((images / name for name in FOLDERS[resolution] if (images / name).is_dir()), None)
    if folder is None:
        folders = ", ".join(sorted(path.name for path in images.iterdir() if path.is_dir())) or "no folder"
        raise PairError(f"{images} holds {folders}; expected {' or '.join(FOLDERS[resolution])} for {resolution}")
    return folder


def davis_sequences(root: Path, folder: Path, refused: Refusals) -> list[str]:
    """Names of the sequences, in order: those of ImageSets/2017, or every folder where there is no such list."""
    folders = {path.name for path in folder.iterdir() if path.is_dir()}
    sets = sorted((root / "ImageSets" / "2017").glob("*.txt"))
    named = {name for file in sets for name in file.read_text(encoding="utf-8").split()} or folders
    for name in sorted(named - folders):
        refused.add("in ImageSets/2017, but without a folder of frames", name)
    for name in sorted(folders - named):
        refused.add("a folder, but not in ImageSets/2017", name)
    return sorted(named & folders)


def davis_pairs(
    root: Path, resolution: str, *, num_frames: int, refused: Refusals, progress: Progress[str] = iter
) -> Iterator[Pair]:
    """The pairs, sequence by sequence; a window with a missing, damaged or odd-sized frame is refused by name.

    Raises:
        PairError: `root` is not laid out as DAVIS.
    """
    folder = davis_folder(root, resolution)
    for sequence in progress(davis_sequences(root, folder, refused)):
        numbers = [int(path.stem) for path in (folder / sequence).glob("*.jpg") if path.stem.isdigit()]
        count = max(numbers, default=-1) + 1
        if count < num_frames:
            refused.add(f"fewer than {num_frames} frames", f"{sequence} ({count})")
        for start in range(0, count - num_frames + 1, num_frames):
            images = [folder / sequence / f"{number:05}.jpg" for number in range(start, start + num_frames)]
            try:
                yield _pair(root, f"{sequence}-{start:05}-{num_frames}f", images)
            except UNREADABLE as error:
                refused.add("frames that cannot be used", f"{sequence} from {start} ({error})")


def _pair(root: Path, name: str, images: list[Path]) -> Pair:
    missing = [image.name for image in images if not image.is_file()]
    if missing:
        raise PairError(f"missing {', '.join(missing)}")
    source = frames_source(root, images)
    frames = read_files(source, len(images), root)
    return Pair(name, source, len(images), FPS, None, round(motion_amount(frames), 3), frames_sha256(frames), LICENSE)
