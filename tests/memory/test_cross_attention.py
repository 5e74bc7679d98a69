"""Constant cross-attention gives the stock UNet's output, and refuses the contexts for which it would not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from diffusers import UNetSpatioTemporalConditionModel

from gen_inbetween.diffusion.motion import set_direction
from gen_inbetween.memory.counter import counted
from gen_inbetween.memory.cross_attention import (
    ConstantCrossAttnProcessor,
    cross_attentions,
    install_constant_cross_attention,
)

FRAMES = 6


def build_inputs(dtype: torch.dtype, tokens: int = 1) -> dict[str, torch.Tensor]:
    """Four samples, every one with its own context: (direction, guidance), unconditional ones all zero."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    context = draw(4, tokens, 32)
    context[[0, 2]] = 0
    return {
        "sample": draw(4, FRAMES, 8, 8, 4),
        "timestep": torch.tensor(0.7, dtype=dtype),
        "encoder_hidden_states": context,
        "added_time_ids": torch.tensor([[6.0, 127.0, 0.02]], dtype=dtype).repeat(4, 1),
    }


def build_unet(tiny_pipe: Callable, dtype: torch.dtype, motion: str | None = None) -> UNetSpatioTemporalConditionModel:
    return tiny_pipe(motion=motion, dtype=dtype).unet.requires_grad_(False)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("motion", [None, "full"])
def test_equals_stock(tiny_pipe: Callable, dtype: torch.dtype, tolerance: float, motion: str | None) -> None:
    unet, inputs = build_unet(tiny_pipe, dtype, motion), build_inputs(dtype)
    set_direction(unet, "both" if motion else "forward")
    stock = unet(**inputs).sample
    stock_processors = {path: attn.processor for path, attn in cross_attentions(unet).items()}
    assert install_constant_cross_attention(unet) == len(cross_attentions(unet)) > 0
    constant = unet(**inputs).sample
    torch.testing.assert_close(constant, stock, rtol=0, atol=tolerance)

    inputs["encoder_hidden_states"] = inputs["encoder_hidden_states"].flip(0)  # a new clip
    shuffled = unet(**inputs).sample
    assert (shuffled - constant).abs().max() > 1e-3  # nothing of the old clip is kept
    for path, attn in cross_attentions(unet).items():
        attn.set_processor(stock_processors[path])
    torch.testing.assert_close(shuffled, unet(**inputs).sample, rtol=0, atol=tolerance)


def test_both_kinds_of_layer_are_covered(tiny_pipe: Callable) -> None:
    """Of three transformers (down, middle, up), in the spatial and in the temporal block each."""
    paths = cross_attentions(build_unet(tiny_pipe, torch.float32))
    assert sum("temporal_transformer_blocks" in path for path in paths) * 2 == len(paths)


def test_costs_less(tiny_pipe: Callable) -> None:
    unet, inputs = build_unet(tiny_pipe, torch.float32), build_inputs(torch.float32)
    with counted() as stock:
        unet(**inputs)
    install_constant_cross_attention(unet)
    with counted() as constant:
        unet(**inputs)
    assert constant.flops < 0.98 * stock.flops
    assert constant.peak <= stock.peak


def test_installing_twice_adds_no_weights(tiny_pipe: Callable) -> None:
    unet = build_unet(tiny_pipe, torch.float32)
    keys = set(unet.state_dict())
    install_constant_cross_attention(unet)
    install_constant_cross_attention(unet)
    assert set(unet.state_dict()) == keys  # save_pretrained writes the same file


def test_more_than_one_token_is_refused(tiny_pipe: Callable) -> None:
    unet = build_unet(tiny_pipe, torch.float32)
    install_constant_cross_attention(unet)
    with pytest.raises(ValueError, match=r"context of shape \(24, 1, channels\), got \(24, 2, 32\): give these layers"):
        unet(**build_inputs(torch.float32, tokens=2))


def test_a_missing_or_masked_context_is_refused(tiny_pipe: Callable) -> None:
    attn = next(iter(cross_attentions(build_unet(tiny_pipe, torch.float32)).values()))
    processor = ConstantCrossAttnProcessor()
    x, context = torch.zeros(2, 5, attn.query_dim), torch.zeros(2, 1, 32)
    with pytest.raises(ValueError, match="got None"):
        processor(attn, x)
    with pytest.raises(ValueError, match="got a mask"):
        processor(attn, x, context, torch.zeros(2, 1))


def test_layers_that_do_more_than_attend_are_refused(tiny_pipe: Callable) -> None:
    unet = build_unet(tiny_pipe, torch.float32)
    next(iter(cross_attentions(unet).values())).residual_connection = True
    with pytest.raises(ValueError, match="plain cross-attention"):
        install_constant_cross_attention(unet)
