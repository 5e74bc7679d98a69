"""Frames between two frames, and frames as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from interpolation_cases import ALL, frames, network_interpolator
from PIL import Image

from gen_inbetween.interpolation import (
    interpolate_pair,
    load_interpolator,
)
from gen_inbetween.interpolation.pairs import frame_tensor, tensor_frame


@pytest.fixture(params=ALL, ids=str)
def interpolator(request):
    return load_interpolator(request.param) if isinstance(request.param, str) else network_interpolator(request.param)


def test_a_pair_by_midpoints_shares_its_halves(monkeypatch):
    interpolator = network_interpolator(0)
    calls = []
    forward = interpolator.network.forward
    monkeypatch.setattr(interpolator.network, "forward", lambda *given: calls.append(1) or forward(*given))
    a, b = (tensor_frame(frame) for frame in frames(2))
    assert len(interpolate_pair(a, b, 9, interpolator)) == 9
    assert len(calls) == 7  # one for each frame between; halved alone, each would take up to three


def test_pictures_survive_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    image = Image.fromarray(levels)
    tensor = frame_tensor(image, torch.device("cpu"))
    assert tensor.shape == (1, 3, 16, 16) and float(tensor.min()) == 0 and float(tensor.max()) == 1
    assert tensor_frame(tensor).tobytes() == image.tobytes()
    assert tensor_frame(tensor + 0.6 / 255).getpixel((0, 0)) == (1, 1, 1)  # rounded, not cut off
