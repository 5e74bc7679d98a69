"""The figures of training memory: counted on the meta device they are those of a real run."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import training_memory

from gen_inbetween.diffusion.motion import add_backward_motion
from gen_inbetween.training.gradient_checkpointing import enable_gradient_checkpointing

REAL = {
    "none": lambda unet: None,
    "diffusers'": lambda unet: unet.enable_gradient_checkpointing(),
    "ours": enable_gradient_checkpointing,
}


def test_the_meta_device_counts_what_a_real_step_holds(tiny_pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_memory, "HALF", torch.float32)  # a CPU's autocast has other rules: none at all here
    peaks = []
    for kept in training_memory.KEPT:
        real, meta = tiny_pipe().unet, tiny_pipe().unet.to("meta")
        for unet, switch in ((real, REAL[kept]), (meta, training_memory.KEPT[kept])):
            add_backward_motion(unet)
            switch(unet)
        size = (6, 16, 16)
        wanted = training_memory.peak_of_step(real, *size, nullcontext())
        assert training_memory.peak_of_step(meta, *size, training_memory.Autocast()) == pytest.approx(wanted, rel=2e-3)
        peaks.append(wanted)
    assert peaks[0] > 1.3 * peaks[1] > 1.3 * 1.3 * peaks[2]


def test_autocast_runs_products_in_half_and_norms_in_float() -> None:
    x = torch.zeros(2, 8, device="meta", dtype=torch.float32)
    with training_memory.Autocast():
        product = torch.nn.functional.linear(x, x.new_zeros(8, 8))
        assert product.dtype == training_memory.HALF
        assert torch.nn.functional.layer_norm(product, (8,)).dtype == torch.float32
