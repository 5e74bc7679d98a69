"""The compiled UNet: one graph, no breaks, the same clip."""

from __future__ import annotations

import pytest
import torch
from cases import fused, make_case

from gen_inbetween.memory.apply import apply_memory_options, compile_unet
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.options import MemoryOptions


@pytest.fixture(autouse=True)
def fresh_graphs():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@torch.no_grad()
def test_the_unet_is_one_graph_in_either_direction(tiny_pipe):
    """fullgraph refuses any break; "eager" runs the graph as it was captured, and needs no compiler."""
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    install_constant_cross_attention(unet)
    x, keyframes = make_case(6)
    sigma = torch.tensor(3.0, dtype=torch.float64)
    wanted = [fused(unet, keyframes, rotate=rotate)(x, sigma).guided for rotate in (True, False)]
    compile_unet(unet, backend="eager", fullgraph=True)
    compiled = [fused(unet, keyframes, rotate=rotate)(x, sigma).guided for rotate in (True, False)]
    torch.testing.assert_close(compiled, wanted, rtol=0, atol=1e-12)
    again = fused(unet, keyframes)(x + 1, sigma / 2).guided  # other values, the same graph
    assert again.isfinite().all() and not torch.allclose(again, wanted[0])


def test_it_is_an_option_and_is_not_done_twice(tiny_pipe, monkeypatch):
    pipe, compiled = tiny_pipe(motion="full"), []
    apply_memory_options(pipe, MemoryOptions(), "cpu")
    assert pipe.unet._compiled_call_impl is None

    def stand_in(call, **options):
        compiled.append(options)
        return call

    monkeypatch.setattr(torch, "compile", stand_in)
    for _ in range(2):
        apply_memory_options(pipe, MemoryOptions(compile=True), "cpu")
    assert compiled == [{}] and pipe.unet._compiled_call_impl is not None
