"""Making of pair lists, from videos, DAVIS or synthetic clips.

What cannot be used is refused by name, with the reason, and the rest goes on. Which windows are taken follows from the
files and the settings alone: the same files give the same list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gen_inbetween.data.clips import find_videos
from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.evaluation.pairs.packages import VideoFile
from gen_inbetween.evaluation.pairs.pair import Pair, PairError
from gen_inbetween.evaluation.pairs.sources import draw_clip, photographs_sha256, read_files
from gen_inbetween.evaluation.pairs.windows import (
    Scan,
    Window,
    centre_window,
    choose_windows,
    motion_amount,
    scan_video,
    split_windows,
)
from gen_inbetween.media.image import FrameError
from gen_inbetween.media.reading.sequences import image_files
from gen_inbetween.media.source import VideoError
from gen_inbetween.runtime.hashing import cached_file_sha256, frames_sha256, text_sha256

Unit = TypeVar("Unit")
Progress = Callable[[Sequence[Unit]], Iterable[Unit]]  # such as tqdm: passes its units through

UNREADABLE = (PairError, VideoError, FrameError, OSError)  # what one file may raise, and the rest goes on
UNKNOWN_FPS = 24  # of folders of images, which state none
SYNTHETIC_FRAMES, SYNTHETIC_SIZE = 14, 64  # what the bundled model makes


class Refusals(dict[str, list[str]]):
    """Reason -> what was refused for it."""

    def add(self, reason: str, name: str) -> None:
        self.setdefault(reason, []).append(name)

    def lines(self, most: int) -> list[str]:
        """One line a reason, with the count and at most so many names."""
        more = {reason: f" and {len(names) - most} more" if len(names) > most else "" for reason, names in self.items()}
        return [f"{len(n)} refused, {why}: {', '.join(n[:most])}{more[why]}" for why, n in self.items()]


def find_files(root: Path, stride: int) -> list[VideoFile]:
    """Every video and folder of images below a folder; DataError where there is none."""
    files: list[VideoFile] = []
    for path in find_videos(root):
        relative = path.relative_to(root).as_posix()
        label = re.sub(r"[^A-Za-z0-9._-]+", "-", relative.rpartition(".")[0] if path.is_file() else relative)
        label = label.strip("-._")[-60:].lstrip("-._")
        if not label or label.lower() in {file.label.lower() for file in files}:
            label = f"{label or 'clip'}-{text_sha256(relative)[:8]}"
        files.append(VideoFile(relative, label, stride))
    return files


def video_pairs(
    root: Path,
    files: Sequence[VideoFile],
    *,
    num_frames: Sequence[int],
    min_motion: float,
    windows: int,
    refused: Refusals,
    progress: Progress[VideoFile] = iter,
) -> Iterator[Pair]:
    """Pairs of videos: `windows` moments of each, and each moment in every length of `num_frames`.

    A moment is a window of the greatest length; the shorter ones lie in its middle, so that gaps differ and nothing
    else does. Moments do not overlap, hold no cut, and move by at least `min_motion` (see `motion_amount`) in every
    length; `windows.choose_windows` takes those that cover the file's range of motion.
    """
    for file in progress(files):
        try:
            seen = scan_video(root / file.path, file.stride)
            moments = split_windows(seen, max(num_frames))
            moving = [m for m in moments if all(centre_window(seen, m, n).motion >= min_motion for n in num_frames)]
            if not moments:
                refused.add(f"no {max(num_frames)} frames without a cut", f"{file.path} (stride {file.stride})")
            elif still := len(moments) - len(moving):
                refused.add(f"motion below {min_motion}", f"{file.path} ({still} of {len(moments)} windows)")
            for moment in choose_windows(moving, windows):
                yield from _pairs_of_moment(root, file, seen, moment, num_frames)
        except UNREADABLE as error:
            refused.add("unreadable", f"{file.path} ({error})")


def _pairs_of_moment(
    root: Path, file: VideoFile, seen: Scan, moment: Window, num_frames: Sequence[int]
) -> Iterator[Pair]:
    """The pairs of one moment, which is decoded once."""
    frames = read_files(_source(root, file, moment), moment.num_frames, root)
    for window in (centre_window(seen, moment, n) for n in num_frames):
        offset = (window.start - moment.start) // file.stride
        yield Pair(
            name=f"{file.label}-{window.start:05}-{window.num_frames}f",
            source=_source(root, file, window),
            num_frames=window.num_frames,
            fps=max(1, round((seen.fps or UNKNOWN_FPS) / file.stride)),
            motion_bucket_id=None,
            motion=round(window.motion, 3),
            sha256=frames_sha256(frames[offset : offset + window.num_frames]),
            license=file.license,
        )


def _source(root: Path, file: VideoFile, window: Window) -> dict[str, Any]:
    path = root / file.path
    if path.is_dir():
        images = image_files(path)[window.start :: file.stride][: window.num_frames]
        return frames_source(root, images)
    where = {"start": window.start, "stride": file.stride}
    return {"video": file.path, "package": file.package, **where, "file_sha256": cached_file_sha256(path)}


def frames_source(root: Path, images: Sequence[Path]) -> dict[str, Any]:
    names = [image.relative_to(root).as_posix() for image in images]
    return {"frames": names, "file_sha256": [cached_file_sha256(image) for image in images]}


def synthetic_pairs(
    count: int,
    first_seed: int = HELD_OUT_SEED,
    progress: Progress[int] = iter,
    *,
    keyframes: int = 2,
    loop: bool = False,
) -> Iterator[Pair]:
    """Clips number `first_seed` and up, 14 frames of 64 pixels from keyframe to keyframe, photographs behind half
    of them, as the generator tells their rate and motion bucket. loop: clips whose last frame is the first again."""
    length = (keyframes - 1) * (SYNTHETIC_FRAMES - 1) + 1
    for seed in progress(range(first_seed, first_seed + count)):
        drawn: dict[str, Any] = {"seed": seed, "num_frames": length, "size": SYNTHETIC_SIZE}
        drawn["photographs"] = photographs_sha256()
        drawn |= {"loop": True} if loop else {}
        clip = draw_clip(drawn)
        frames: NDArray[np.uint8] = clip.frames
        yield Pair(
            name=f"synthetic-{seed}" + (f"-{keyframes}" if keyframes > 2 else "") + ("-loop" if loop else ""),
            source={"synthetic": drawn | {"mean": round(float(frames.mean()), 3)}},
            num_frames=length,
            keyframes=keyframes,
            fps=clip.fps,
            motion_bucket_id=clip.motion_bucket_id,
            motion=round(motion_amount(frames), 3),
            sha256=frames_sha256(frames),
        )
