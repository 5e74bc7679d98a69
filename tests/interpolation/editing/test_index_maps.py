"""Maps hold each curve inside of its mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gen_inbetween.interpolation.editing.index_maps import FEATHER, feathered_layers, index_map, layer_positions

SIZE = (80, 64)  # width, height


def square(left: int, top: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[top : top + 16, left : left + 16] = True
    return mask


def index_maps(masks: np.ndarray, curves: list, background: str, num_frames: int, feather: int = FEATHER) -> Tensor:
    """The maps (num_frames, 1, H, W) of a clip, as `edit_motion` works them out one by one."""
    layers, times = feathered_layers(masks, feather), torch.linspace(0, 1, num_frames, dtype=torch.float64)
    return torch.stack([index_map(layers, at) for at in layer_positions(curves, background, times, len(masks))])


def test_maps_hold_each_curve_inside_and_mix_at_the_border():
    masks = np.stack([square(8, 8), square(16, 8)])  # the second is half under the first
    maps = index_maps(masks, ["0:0,1:0.5", "0:0,1:1"], "0:0,1:0", 5)
    assert maps.shape == (5, 1, 64, 80) and maps.dtype == torch.float32
    assert maps[4, 0, 16, 16] == pytest.approx(0.5) and maps[4, 0, 16, 28] == pytest.approx(1, abs=0.02)
    assert maps[4, 0, 50, 50] == 0 and maps[0].max() == 0
    assert 0.25 > maps[4, 0, 16, 7] > maps[4, 0, 16, 5] > 0  # on the background, close to the border of 0.5
    hard = index_maps(masks, ["0:0,1:0.5", "0:0,1:1"], "0:0,1:0", 2, feather=1)
    assert sorted(hard[1].unique().tolist()) == [0, 0.5, 1] and hard[1, 0, 16, 20] == 0.5


def test_layers_add_up_to_one_everywhere():
    layers = feathered_layers(np.stack([square(0, 0), square(10, 10), square(60, 40)]))
    torch.testing.assert_close(layers.sum(0), torch.ones(64, 80))
