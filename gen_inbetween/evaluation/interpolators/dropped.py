"""Every second frame of a film drawn again, by interpolators and by FFmpeg's filter.

frames 0 2 4 6 8 are given, 1 3 5 7 asked for; 1 3 5 are scored, since FFmpeg's `minterpolate` ends a frame early

The filter runs inside of this process, through PyAV, so that no program has to start; what opens an interpolator or
builds the filter's graph is timed apart. Pictures are compared by their luma, which is what the filter works on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import structural_similarity_index_measure

from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.interpolation.retiming.frame_pairs import TimedFrame, frame_pairs
from gen_inbetween.interpolation.retiming.stream import retime_pairs

if TYPE_CHECKING:
    from gen_inbetween.evaluation.metrics.perceptual import PerceptualDistance

Frames = NDArray[np.uint8]  # (F, H, W, 3)

FILTER = "minterpolate"
CLOCK = Fraction(1, 25)  # of the frames given to the filter: any will do
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Drawn:
    """Frames drawn between those given, and what each took. wall: of a clock; cpu: of all cores together."""

    frames: Frames
    wall: float
    cpu: float


def drawn_by(interpolator: FrameInterpolator, given: Frames, workers: int) -> Drawn:
    """The middles of all steps between the given frames, as `retime_video` draws them."""
    timed = [TimedFrame(frame, float(number)) for number, frame in enumerate(given)]
    middles = np.arange(len(given) - 1) + 0.5
    pairs = frame_pairs(timed, cuts=False)
    return _timed(lambda: retime_pairs(pairs, middles.tolist(), interpolator, workers=workers))


def drawn_by_filter(given: Frames) -> Drawn:
    """The middles of all steps but the last, by motion-compensated `minterpolate` (mci) as it comes."""
    height, width = given.shape[1:3]
    graph = av.filter.Graph()
    shape = f"video_size={width}x{height}:pix_fmt=yuv420p:time_base={CLOCK}:pixel_aspect=1/1"
    source = graph.add("buffer", args=f"{shape}:frame_rate={1 / CLOCK}")
    drawing = graph.add(FILTER, f"fps={2 / CLOCK}:mi_mode=mci")
    sink = graph.add("buffersink")
    source.link_to(drawing)
    drawing.link_to(sink)
    graph.configure()
    frames = [av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p") for frame in given]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, CLOCK
    return _timed(lambda: (each for each in _filtered(frames, source, sink) if each.pts % 2))


def _filtered(frames: Sequence[Any], source: Any, sink: Any) -> Iterator[Any]:
    for frame in [*frames, None]:
        source.push(frame)
        while True:
            try:
                yield sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break


def _timed(draw: Callable[[], Iterator[Any]]) -> Drawn:
    wall, cpu = time.perf_counter(), time.process_time()
    frames = list(draw())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pictures = [each if isinstance(each, np.ndarray) else each.to_ndarray(format="rgb24") for each in frames]
    return Drawn(np.stack(pictures), wall / len(frames), cpu / len(frames))


def scores(drawn: Frames, truth: Frames) -> dict[str, float]:
    """Mean PSNR in dB and SSIM of frames (F, H, W, 3) by their luma."""
    first, second = (torch.from_numpy(frames @ LUMA)[:, None] for frames in (drawn, truth))
    errors = (first - second).square().mean((1, 2, 3)).clamp(min=1e-4)
    similar: Any = structural_similarity_index_measure(first, second, data_range=255.0, reduction="none")
    return {"psnr": float((10 * torch.log10(255**2 / errors)).mean()), "ssim": float(similar.mean())}


@torch.inference_mode()
def network_distance(drawn: Frames, truth: Frames, metric: PerceptualDistance) -> float:
    """Mean distance of frames (F, H, W, 3) as a network sees their luma: the filter keeps colours at half the size."""
    first, second = (
        torch.from_numpy(frames @ LUMA)[:, None].expand(-1, 3, -1, -1).contiguous() for frames in (drawn, truth)
    )
    return float(
        torch.cat([metric.between(*pair) for pair in zip(first.split(1), second.split(1), strict=True)]).mean()
    )
