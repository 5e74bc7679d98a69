"""Training clips: windows of videos and frame folders, or synthetic ones.

    video:  |---- scene ----|cut|------ scene ------|      a window never reaches over a cut
             [ clip 0 ][ clip 1 ]  [ clip 2 ][ clip 3 ]    num_frames frames, every `stride`-th of the video

All windows are known before the first step, in a fixed order: clip i is the same clip in every process and every run.
What cannot be used is in `faults`, by name, with the reason: nothing is replaced behind the back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.media.fit import FitMode, fit
from gen_inbetween.media.image import to_signal
from gen_inbetween.media.reading.sequences import IMAGE_SUFFIXES
from gen_inbetween.media.scenes import scene_cuts, thumbnail
from gen_inbetween.media.source import VIDEO_SUFFIXES, VideoError
from gen_inbetween.media.video import open_source, read_frames

log = logging.getLogger("gen_inbetween")


class DataError(ValueError):
    """Clips that cannot be used for training; the message says which, why, and what to do."""


@dataclass(frozen=True)
class TrainingClip:
    """One clip as the model is to see it."""

    frames: Tensor  # float32 (frame, 3, height, width) in [-1, 1]
    fps: int
    motion_bucket_id: int
    name: str


class Clips(Protocol):
    """A fixed sequence of clips. `faults`: file -> why it gives none. `identity`: JSON that tells it from others."""

    faults: dict[str, str]

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> TrainingClip: ...
    def identity(self) -> dict[str, Any]: ...


class SyntheticClips:
    """Clips number `first_seed` and up of `synthetic.make_clip`, with the rate and motion they were drawn with.

    Args:
        on_photographs: half of the backgrounds are photographs, as in the clips that taught the bundled model.

    Raises:
        ImportError: photographs asked for without scikit-image, which they come with.
    """

    def __init__(
        self, first_seed: int, count: int, *, num_frames: int, size: int, on_photographs: bool = False
    ) -> None:
        self.first_seed, self.count, self.num_frames, self.size = first_seed, count, num_frames, size
        self.textures = photographs() if on_photographs else ()
        self.faults: dict[str, str] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> TrainingClip:
        if not 0 <= index < self.count:
            raise IndexError(f"expected a clip from 0 to {self.count - 1}, got {index}")
        clip = make_clip(self.first_seed + index, num_frames=self.num_frames, size=self.size, textures=self.textures)
        name = f"synthetic {self.first_seed + index}"
        return TrainingClip(to_signal(torch.from_numpy(clip.frames)), clip.fps, clip.motion_bucket_id, name)

    def identity(self) -> dict[str, Any]:
        # The first clip stands for the generator: another version of it draws other clips from the same seeds.
        probe = int(self[0].frames.double().sum() * 1000)
        synthetic = [self.first_seed, self.count, self.num_frames, self.size, probe]
        return {"synthetic": synthetic, "photographs": len(self.textures)}


class ClipFolder:
    """Windows of every video (mp4, webm, mov, gif, ...) and every folder of images below `folder`.

    Opening it decodes each file once: what is unreadable, smaller than the clips or too short for one goes to `faults`.

    Args:
        folder: files and folders in it are found at any depth; the order is that of their paths.
        num_frames, stride: a clip is num_frames frames, every stride-th, so (num_frames - 1) * stride + 1 of the video.
        width, height: of the clips, in pixels; frames are fitted as `media.fit.fit` does it.
        hop: frames of the video from one window to the next; None: windows do not overlap.
        skip_scene_cuts: leave away windows that reach over a cut.
        fps, motion_bucket_id: what SVD is told of every clip.

    Raises:
        DataError: no such folder, no video in it, or none that gives a clip (the reasons are in the message).
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        num_frames: int,
        width: int,
        height: int,
        stride: int = 2,
        hop: int | None = None,
        fit: FitMode = "crop",
        skip_scene_cuts: bool = True,
        fps: int = 7,
        motion_bucket_id: int = 127,
    ) -> None:
        self.folder, self.num_frames, self.stride = Path(folder), num_frames, stride
        self.width, self.height, self.fit, self.skip_scene_cuts = width, height, fit, skip_scene_cuts
        self.fps, self.motion_bucket_id = fps, motion_bucket_id
        self.span = (num_frames - 1) * stride + 1
        self.hop = hop or self.span
        self.files = find_videos(self.folder)
        self.faults: dict[str, str] = {}
        self.windows: list[tuple[Path, int]] = []  # a file and the number of its first frame
        for file in self.files:
            try:
                self.windows += [(file, start) for start in self._starts(file)]
            except (VideoError, DataError) as error:
                self.faults[self.name_of(file)] = str(error)
                log.warning("not used: %s: %s", self.name_of(file), error)
        if not self.windows:
            reasons = "; ".join(f"{name}: {fault}" for name, fault in list(self.faults.items())[:3])
            raise DataError(f"{folder}: none of {len(self.files)} videos gives {num_frames} frames: {reasons}")

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> TrainingClip:
        file, start = self.windows[index]
        frames = read_frames(file, start=start, stop=start + self.span, stride=self.stride).frames
        if len(frames) != self.num_frames:
            raise VideoError(f"{file} has changed: expected {self.num_frames} frames from {start}, got {len(frames)}")
        fitted = [np.asarray(fit(frame, self.width, self.height, self.fit)[0]) for frame in frames]
        name = f"{self.name_of(file)} from frame {start}"
        return TrainingClip(to_signal(torch.from_numpy(np.stack(fitted))), self.fps, self.motion_bucket_id, name)

    def identity(self) -> dict[str, Any]:
        settings = "num_frames stride hop width height fit skip_scene_cuts fps motion_bucket_id".split()
        files = [[self.name_of(file), size_of(file)] for file in self.files]
        return {"files": files, **{name: getattr(self, name) for name in settings}}

    def name_of(self, file: Path) -> str:
        """A file by its path below the folder."""
        return file.relative_to(self.folder).as_posix() if file != self.folder else file.name

    def _starts(self, file: Path) -> Iterator[int]:
        thumbnails, (width, height) = read_thumbnails(file)
        if width < self.width or height < self.height:
            raise DataError(
                f"{width}x{height} pixels are fewer than the {self.width}x{self.height} of a clip, and enlarged frames "
                "would teach blur: give a larger video, or a smaller clip.width and clip.height"
            )
        cuts = scene_cuts(thumbnails) if self.skip_scene_cuts else []
        limits = [0, *cuts, len(thumbnails)]
        scenes = list(zip(limits[:-1], limits[1:], strict=True))
        starts = [s for first, end in scenes for s in range(first, end - self.span + 1, self.hop)]
        if not starts:
            longest = max(end - first for first, end in scenes)
            raise DataError(
                f"{longest} frames without a cut ({len(thumbnails)} in all), a clip of {self.num_frames} at stride "
                f"{self.stride} spans {self.span}: give a longer video, or a smaller data.stride"
            )
        return iter(starts)


def find_videos(folder: Path) -> list[Path]:
    """Video files and folders that hold images, below `folder` (or itself), in the order of their paths."""
    if not folder.is_dir():
        raise DataError(f"no such folder of clips: {folder}")
    seen = [path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts)]
    videos = {path for path in seen if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()}
    frame_folders = {path.parent for path in seen if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()}
    if not videos | frame_folders:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        raise DataError(f"{folder} holds no clips: expected videos ({kinds}) or folders of images")
    return sorted(videos | frame_folders)


def read_thumbnails(file: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """Thumbnails (frame, y, x, 3) in [0, 1] of every frame of a video, and the size (width, height) of the frames."""
    thumbnails, size = [], (0, 0)
    for frame in open_source(file).frames():
        thumbnails.append(thumbnail(frame))
        size = frame.size
    return np.stack(thumbnails), size


def size_of(file: Path) -> int:
    """Bytes of a video, or of all images in a folder."""
    files = file.iterdir() if file.is_dir() else [file]
    return sum(each.stat().st_size for each in files if each.is_file())
