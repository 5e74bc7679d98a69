"""Windows of successive film frames, and interpolators scored on them.

A window is 9 frames of one film. With a gap of g the frames 0 and g of its middle g + 1 frames are given, and those
between them asked for. Windows lie evenly in a film and hold no cut; how much moves in them is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.evaluation.interpolators.gaps import Frames, Moment, interpolate_between
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Sample
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.media.video import stream_frames
from gen_inbetween.runtime.files import write_json
from gen_inbetween.runtime.hashing import frames_sha256

LENGTH = 9
LONGEST = 1500  # frames of a film that are looked at
CUT = 25.0  # grey levels by which successive thumbnails differ where a window is taken to hold a cut
THUMBNAIL = (64, 36)
GAPS = (2, 8)
IDENTITY = ("name", "architecture", "version", "kind", "sha256", "scale")  # of an interpolator, for kept scores
MEASURES = ("psnr[inner]", "ssim[inner]", "sharpness")


def film_windows(path: Path, count: int, size: tuple[int, int], longest: int = LONGEST) -> list[Moment]:
    """Up to `count` windows of one film, scaled to cover `size` (width, height) and cropped to it in the middle.

    They lie among its first `longest` frames. A film that is smaller than `size` either way, shorter than a window or
    cut everywhere has none.

    Raises:
        VideoError: the file cannot be read.
    """
    starts = window_starts(thumbnail_changes(path, longest), count)
    windows = []
    for number, start in enumerate(starts):
        frames, _ = stream_frames(path, start=start, stop=start + LENGTH)
        fitted = [covered(frame, size) for frame in frames]
        if any(frame is None for frame in fitted):
            return []
        windows.append(Moment(f"{path.stem}-{number}", np.stack([np.asarray(frame) for frame in fitted])))
    return windows


@lru_cache(maxsize=4)  # a film is asked for in several sizes, one after the other
def thumbnail_changes(path: Path, longest: int = LONGEST) -> NDArray[np.float64]:
    """(F - 1,) mean absolute differences of successive thumbnails in grey levels. VideoError: as `stream_frames`."""
    frames, _ = stream_frames(path, stop=longest)
    thumbnails = [np.asarray(frame.resize(THUMBNAIL, Image.Resampling.BOX), np.float64) for frame in frames]
    return np.array([np.abs(after - before).mean() for before, after in zip(thumbnails, thumbnails[1:], strict=False)])


def window_starts(changes: NDArray[np.float64], count: int) -> list[int]:
    """First frames of `count` windows: the middles of equal parts of all starts without a cut, None twice."""
    uncut = [start for start in range(len(changes) - LENGTH + 2) if (changes[start : start + LENGTH - 1] < CUT).all()]
    parts = np.array_split(np.array(uncut, int), count)
    return [int(part[len(part) // 2]) for part in parts if len(part)]


def covered(frame: Image.Image, size: tuple[int, int]) -> Image.Image | None:
    """The frame at the smallest scale that covers `size`, cropped in the middle; None where it would be enlarged."""
    width, height = size
    if frame.width < width or frame.height < height:
        return None
    scale = max(width / frame.width, height / frame.height)
    scaled = (max(width, round(frame.width * scale)), max(height, round(frame.height * scale)))
    enlarged = frame if scaled == frame.size else frame.resize(scaled, Image.Resampling.LANCZOS)
    left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
    return enlarged.crop((left, top, left + width, top + height))


def asked_frames(window: Moment, gap: int, step: int) -> Frames:
    """Every `step`-th of the gap + 1 frames in the middle of a window, both ends among them where step divides gap."""
    return window.around(gap)[:: min(step, gap // 2)]


class WindowScores:
    """Scores of interpolators, kept in a JSON file for each, so that an interrupted run goes on where it stopped.

    folder: of the files; step: every how many-th frame is asked for, as in `asked_frames`. What was measured with
    other weights or another version under the same name is measured anew. A window is known by its frames: which ones
    lie in a film depends on how many are asked for, and films of two folders may have one name.
    """

    def __init__(self, folder: Path, step: int = 1, gaps: Sequence[int] = GAPS) -> None:
        self.folder, self.step, self.gaps = folder, step, gaps
        metrics = {name: open_metric(name) for name in MEASURES}
        self.metrics = {name: metric for name, metric in metrics.items() if isinstance(metric, ClipMetric)}

    def score(self, windows: Sequence[Moment], name: str, interpolator: FrameInterpolator) -> dict[str, dict[int, Any]]:
        """measure -> gap -> one value a window, in their order; written down window by window."""
        file = self.folder / f"{name}.json"
        info = {key: getattr(interpolator.info, key) for key in IDENTITY} | {"step": self.step}
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"info": {}, "values": {}}
        same = all(known["info"].get(key) == value for key, value in info.items())
        values: dict[str, dict[str, float]] = known["values"] if same else {}
        keys_of = [
            {gap: f"{window.name}/{frames_sha256(window.frames)[:16]}/{gap}" for gap in self.gaps} for window in windows
        ]
        for window, keys in zip(windows, keys_of, strict=True):
            if all(key in values for key in keys.values()):
                continue
            for gap, key in keys.items():
                values[key] = self.score_window(asked_frames(window, gap, self.step), interpolator)
            write_json(file, {"info": info, "values": values})
        return {
            measure: {gap: [values[keys[gap]][measure] for keys in keys_of] for gap in self.gaps}
            for measure in MEASURES
        }

    def score_window(self, truth: Frames, interpolator: FrameInterpolator) -> dict[str, float]:
        """The scores of what is interpolated between the ends of one window (frame, 3, height, width)."""
        sample = Sample(interpolate_between(truth, interpolator), truth)
        return {name: metric.score(sample) for name, metric in self.metrics.items()}


def all_windows(paths: Sequence[Path], count: int, size: tuple[int, int]) -> Iterator[Moment]:
    """The windows of every film, in order. VideoError: as `film_windows`."""
    for path in paths:
        yield from film_windows(path, count, size)
