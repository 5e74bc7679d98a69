"""What eval/full_size_memory.py compares computes the same thing twice, or the comparison would mean nothing."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch

from gen_inbetween.diffusion.motion import add_backward_motion, set_direction

SCRIPT = Path(__file__).parents[2] / "eval" / "full_size_memory.py"


def test_two_unets_with_stored_maps_predict_what_the_fused_one_does(tiny_pipe: Callable) -> None:
    specification = importlib.util.spec_from_file_location("full_size_memory", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    unet = tiny_pipe().unet.requires_grad_(False)
    forward, backward = copy.deepcopy(unet), copy.deepcopy(unet)
    add_backward_motion(unet)
    set_direction(unet, "both")
    script.store_maps(forward, backward)

    inputs = script.random_inputs(unet, 4, 6, 8)
    halves = [{name: value[half] if value.ndim else value for name, value in inputs.items()}
              for half in (slice(0, 2), slice(2, 4))]  # fmt: skip
    published = [model(**half).sample for model, half in zip((forward, backward), halves, strict=True)]
    torch.testing.assert_close(torch.cat(published), unet(**inputs).sample, rtol=0, atol=1e-5)
    stock = tiny_pipe().unet(**halves[1]).sample
    assert (published[1] - stock).abs().max() > 1e-4  # turning the map does something
