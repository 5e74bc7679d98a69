"""A clip: frames of one size with their rate and manifest."""

from __future__ import annotations

import base64
import itertools
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import av
import numpy as np
from PIL import Image

from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.media.image import Frame, load_image, open_images
from gen_inbetween.media.reading.sequences import with_images
from gen_inbetween.media.source import DEFAULT_RATE, Source, VideoError
from gen_inbetween.media.video import VideoPath, open_source
from gen_inbetween.media.video_writer import plan_output, write_video
from gen_inbetween.media.writing.options import PLAIN, VideoOptions
from gen_inbetween.media.writing.outputs import STDOUT, place_of
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime import outputs
from gen_inbetween.runtime.checks import check_positive, check_whole, plain_value
from gen_inbetween.runtime.files import check_writable, replaced
from gen_inbetween.runtime.hashing import image_sha256
from gen_inbetween.runtime.manifest import inputs_of
from gen_inbetween.runtime.outputs import embed, reserved

if TYPE_CHECKING:
    from gen_inbetween.media.tracks.tracks import Tracks

log = logging.getLogger("gen_inbetween")

_EVEN = 0.02  # of a step: as well as containers round times
_SHOWN_WIDTH = 256  # pixels, at least, in a notebook


class Clip(Sequence[Image.Image]):
    """A sequence of RGB images of one size that knows its rate, saves itself and plays in a notebook.

    Where any frame is transparent they are RGBA; what is saved keeps that, or is put over a background (`video`).

    Args:
        frames: anything `load_image` opens, at least one, all of one size.
        fps: frames a second.
        manifest: what made the clip (see `manifest.py`); None where nobody recorded it.
        video: how it is written, unless `save` is told otherwise.
        starts: where the rate varies, the seconds at which each frame begins, rising from 0, and the last one ends;
            `fps` is then their mean.
        plays: how many times an animation of it is played; 0: without end.

    Raises:
        VideoError: no frames, frames of different sizes, times that are not theirs, a manifest that is none.
        ValueError: a rate not above 0, plays that are no count.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        fps: float,
        manifest: dict[str, Any] | None = None,
        video: VideoOptions = PLAIN,
        *,
        starts: Sequence[float] | None = None,
        plays: int = 0,
    ) -> None:
        if isinstance(frames, str | os.PathLike):
            raise VideoError(f"expected frames, got the path {os.fspath(frames)!r}: Clip.open reads a file")
        if not isinstance(manifest, Mapping | None):
            raise VideoError(f"expected a manifest as a dict or None, got {type(manifest).__name__}")
        self.frames = tuple(open_images(frames))
        self.fps: float = plain_value(check_positive("fps", fps))  # a fraction of PyAV's, or a number of numpy's
        self.video, self.plays = video, check_whole("plays", plays, 0)
        self.starts = None if starts is None else tuple(map(float, starts))
        self.others: tuple[Clip, ...] = ()  # of several seeds those that were not kept, the better ones first
        self.manifest: Any = manifest  # a dict or None; Any, so that those who know it is there may write to it
        sizes = {frame.size for frame in self.frames}
        if len(sizes) != 1:
            raise VideoError(f"a clip has frames, all of one size; got {len(self.frames)} of sizes {sorted(sizes)}")
        if self.starts is not None:
            rising = all(earlier < later < np.inf for earlier, later in itertools.pairwise(self.starts))
            if len(self.starts) != len(self.frames) + 1 or self.starts[0] != 0 or not rising:
                expected = f"{len(self.frames) + 1} times that rise from 0"
                raise VideoError(f"expected {expected} for {len(self.frames)} frames; got {len(self.starts)}")

    @classmethod
    def open(cls, path: VideoPath, *, fps: float | None = None) -> Clip:
        """Read a clip, and the manifest in it or beside it, if there is one.

        Args:
            path: a video file, an animation, a folder of frames, or a list of image files.
            fps: frames a second; None takes the file's, else the manifest's, else 24 with a notice.

        Raises:
            VideoError: nothing that can be read there; frames of different sizes.
        """
        source = open_source(path)
        frames, stored = list(source.frames(alpha=True)), source.fps
        manifest = _manifest_of(path) if isinstance(path, str | os.PathLike) else None
        if fps is not None:
            check_positive("fps", fps)
        rate = fps or stored or (manifest or {}).get("settings", {}).get("fps")
        if rate is None:
            log.info("%s has no rate: %d frames a second are assumed; fps=... says another", path, DEFAULT_RATE)
        starts = None if fps else uneven_times(source, len(frames))
        plays = source.timeline.plays if stored else 0  # a folder's times are none of its own
        return cls(frames, rate or DEFAULT_RATE, manifest, starts=starts, plays=plays)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of every frame, in pixels."""
        return self.frames[0].size

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> Clip: ...
    def __getitem__(self, index: int | slice) -> Image.Image | Clip:
        """One frame, or a clip of those sliced: the same rate, and no manifest, because that remakes the whole.

        Frames that follow each other keep their own times.
        """
        if not isinstance(index, slice):
            return self.frames[index]
        first, last, step = index.indices(len(self))
        starts = None
        if self.starts is not None and step == 1 and first < last:
            starts = [start - self.starts[first] for start in self.starts[first : last + 1]]
        return Clip(self.frames[index], self.fps, video=self.video, starts=starts, plays=self.plays)

    @property
    def duration(self) -> float:
        """Seconds from the first frame's beginning to the last one's end."""
        return self.starts[-1] if self.starts else len(self) / self.fps

    def __repr__(self) -> str:
        width, height = self.size
        rate = f"{self.fps:g} fps" + (" on average" if self.starts else "")
        return f"Clip({len(self)} frames, {width}x{height}, {rate}, {self.duration:.2f} s)"

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        video: VideoOptions | None = None,
        overwrite: bool = False,
        tracks: Tracks | None = None,
    ) -> Path:
        """Write the clip, and its manifest, if it has one, inside of it and as JSON beside it (in a folder, in there).

        Args:
            path: as `write_video` takes it (.mp4, .mov, .gif, ...; no extension for a folder of PNG files), or .png for
                one contact sheet.
            video: codec, crf, pixel format and background; None: the clip's own.
            overwrite: replace a file that was not written by this package, too. What was is always replaced, and what
                the clip was made from, as its manifest names it, never.

        Returns:
            The path.

        Raises:
            VideoError, OutputError: as `check_output`, or the disk is full; nothing is left half-written.
        """
        path = Path(path)
        options = self.video if video is None else video
        check_output(path, inputs_of(self.manifest), overwrite=overwrite, video=options)
        place = place_of(path)
        with reserved(place):
            if _is_sheet(path):
                save_sheet(path, contact_sheet({"": [load_image(frame) for frame in self]}), self.manifest)
            else:
                how: dict[str, Any] = {"starts": self.starts, "plays": self.plays, "tracks": tracks}
                write_video(self, path, self.fps, options=options, manifest=self.manifest, overwrite=overwrite, **how)
                if tracks is not None:
                    tracks.announce_end(path, self.duration)
            if self.manifest is not None and place.is_file():
                manifests.write_beside(self.manifest, place)
        return path

    def _repr_html_(self) -> str:
        """An inline video for notebooks; an inline WebP where this PyAV cannot write H.264."""
        video = "libx264" in av.codecs_available
        with tempfile.TemporaryDirectory() as folder:
            path = write_video(self, Path(folder) / ("clip.mp4" if video else "clip.webp"), self.fps)
            data = base64.b64encode(path.read_bytes()).decode("ascii")
        # Pixels of a tiny clip are shown as pixels, large enough to see.
        tiny = self.size[0] < _SHOWN_WIDTH
        look = f"width: {max(self.size[0], _SHOWN_WIDTH)}px; image-rendering: {'pixelated' if tiny else 'auto'}"
        if video:
            source = f"data:video/mp4;base64,{data}"
            return f'<video controls loop autoplay muted playsinline style="{look}" src="{source}"></video>'
        return f'<img style="{look}" alt="{self!r}" src="data:image/webp;base64,{data}">'


def uneven_times(source: Source, count: int) -> Sequence[float] | None:
    """The seconds at which the `count` frames of a source begin, and the last one ends, unless they are even."""
    if source.fps is None:
        return None
    times = source.timeline.times
    steps = np.diff(times)
    if len(steps) != count or np.ptp(steps) <= _EVEN * steps.mean():
        return None
    starts: list[float] = times.tolist()
    return starts


def save_sheet(path: Path, sheet: Image.Image, manifest: dict[str, Any] | None = None) -> None:
    """Write a picture, whole or not at all, that says it is ours, and how it was made where that is known."""
    with replaced(path) as temporary:
        sheet.save(temporary)
        embed(manifest, temporary)


def _manifest_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    try:
        return manifests.of_clip(place_of(path))
    except manifests.ManifestError as error:
        log.warning("%s is opened without a manifest: %s", path, error)
        return None


def check_output(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str] | None] = (),
    *,
    overwrite: bool = False,
    video: VideoOptions = PLAIN,
) -> None:
    """Find out before the work whether a clip could be saved there.

    Args:
        inputs: what the clip is made from; None among them is passed over.
        overwrite, video: as `Clip.save` takes them.

    Raises:
        VideoError: an extension no clip is saved with, or options it has no use for.
        OutputError: no permission to write there, or a file stands where a folder is needed; an input, or what others
            made, would be replaced.
    """
    path = Path(path)
    if str(path) != STDOUT:
        check_writable(path)
    if not _is_sheet(path):
        plan_output(path, DEFAULT_RATE, options=video)
    elif path.is_dir():
        raise VideoError(f"{path} is a folder; expected the name of a .png file")
    elif video != PLAIN:
        raise VideoError(f"{path} is one picture of all frames: codec, crf and pixel format are for videos")
    outputs.check_output(place_of(path), with_images(inputs), overwrite=overwrite)


def keyframes_record(sources: Sequence[Frame], opened: Sequence[Image.Image]) -> dict[str, dict[str, str | None]]:
    """The two keyframes as a manifest names them: where their files are (None: given in memory), and their hashes."""
    return {
        name: {
            "path": str(Path(source).resolve()) if isinstance(source, str | os.PathLike) else None,
            "sha256": image_sha256(image),
        }
        for name, source, image in zip(("frame0", "frame1"), sources, opened, strict=True)
    }


def _is_sheet(path: Path) -> bool:
    return path.suffix.lower() == ".png" and place_of(path) == path
