"""The rotated attention map, held against the map itself."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from reference import WholeMap
from torch import nn

from gen_inbetween.diffusion import attention
from gen_inbetween.diffusion.attention import (
    LARGEST_LAUNCH,
    BidirectionalAttnProcessor,
    SplitAttnProcessor,
    open_kernel,
)

FRAMES, CHANNELS = 5, 16


@pytest.fixture
def layer():
    torch.manual_seed(0)
    attn = Attention(query_dim=CHANNELS, heads=2, dim_head=8).double()
    updates = [nn.Linear(CHANNELS, CHANNELS, bias=bias).double() for bias in (False, True)]
    attn.set_processor(BidirectionalAttnProcessor(*updates))
    return attn.requires_grad_(False)


@pytest.fixture
def forward_x():
    return torch.randn(6, FRAMES, CHANNELS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def backward_x():
    return torch.randn(6, FRAMES, CHANNELS, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def naive(attn, forward_x, backward_x):
    """Both outputs with whole maps and summed weights."""
    updates = attn.processor.update_v, attn.processor.update_out
    tuned = Attention(query_dim=CHANNELS, heads=2, dim_head=8).double()
    tuned.load_state_dict({k: v for k, v in attn.state_dict().items() if not k.startswith("processor")})
    plain = WholeMap()
    forward = plain(tuned, forward_x)
    with torch.no_grad():
        tuned.to_v.weight += updates[0].weight
        tuned.to_out[0].weight += updates[1].weight
        tuned.to_out[0].bias += updates[1].bias
        return forward, WholeMap(plain)(tuned, backward_x)


def test_both_directions_in_one_batch_equal_the_rotated_map(layer, forward_x, backward_x):
    layer.processor.direction = "both"
    out = layer(torch.cat([forward_x, backward_x]))
    wanted = torch.cat(naive(layer, forward_x, backward_x))
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tuned", ["vo", "qkvo"])
def test_without_rotation_each_direction_attends_by_itself(layer, forward_x, backward_x, tuned):
    updates = layer.processor.update_v, layer.processor.update_out
    own = {f"update_{x}": nn.Linear(CHANNELS, CHANNELS, bias=False).double() for x in "qk"} if tuned == "qkvo" else {}
    layer.set_processor(BidirectionalAttnProcessor(*updates, rotate=False, **own))
    wanted = naive_unrotated(layer, backward_x)
    layer.processor.direction = "backward"  # no forward pass was made, and none is needed
    torch.testing.assert_close(layer(backward_x), wanted, rtol=0, atol=1e-12)
    layer.processor.direction = "both"
    both = layer(torch.cat([forward_x, backward_x]))
    forward = naive(layer, forward_x, backward_x)[0]
    torch.testing.assert_close(both, torch.cat([forward, wanted]), rtol=0, atol=1e-12)


def naive_unrotated(attn, x):
    """Backward motion as plain attention of a layer with summed weights."""
    tuned = Attention(query_dim=CHANNELS, heads=2, dim_head=8).double()
    tuned.load_state_dict({k: v for k, v in attn.state_dict().items() if not k.startswith("processor")})
    pairs = {"update_q": tuned.to_q, "update_k": tuned.to_k, "update_v": tuned.to_v, "update_out": tuned.to_out[0]}
    with torch.no_grad():
        for name, projection in pairs.items():
            if update := getattr(attn.processor, name):
                for key, weight in update.named_parameters():
                    projection.get_parameter(key).add_(weight)
        return WholeMap()(tuned, x)


def test_forward_then_backward_equals_both(layer, forward_x, backward_x):
    processor = layer.processor
    processor.direction = "both"
    both = layer(torch.cat([forward_x, backward_x]))
    assert processor.attention is None  # inference keeps nothing
    processor.direction, processor.keep_attention = "forward", True
    forward = layer(forward_x)
    processor.direction = "backward"
    assert torch.equal(torch.cat([forward, layer(backward_x)]), both)


def test_forward_is_stock_svd_to_the_bit(layer, forward_x):
    ours = layer(forward_x)
    assert layer.processor.attention is None
    layer.set_processor(AttnProcessor2_0())
    assert torch.equal(ours, layer(forward_x))


def test_backward_needs_a_forward_pass(layer, forward_x):
    layer.processor.direction = "backward"
    with pytest.raises(RuntimeError, match="keep_attention=True"):
        layer(forward_x)


def test_cross_attention_is_refused(layer, forward_x):
    with pytest.raises(ValueError, match="attn1"):
        layer(forward_x, encoder_hidden_states=forward_x)


def test_unknown_kernel():
    with pytest.raises(ValueError, match="sdpa, xformers, got 'flash'"):
        open_kernel("flash")


def test_xformers_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xformers.ops", None)
    with pytest.raises(RuntimeError, match=r"gen_inbetween\[xformers\]"):
        open_kernel("xformers")


def test_xformers_present_but_unable_is_found_by_running_it(monkeypatch):
    def refuse(*_):
        raise NotImplementedError("No operator found")

    monkeypatch.setitem(sys.modules, "xformers.ops", SimpleNamespace(memory_efficient_attention=refuse))
    with pytest.raises(RuntimeError, match="No operator found"):
        open_kernel("xformers")


def test_xformers_kernel_is_given_its_layout(layer, forward_x, backward_x, monkeypatch):
    def attention(query, key, value):  # documented layout: (batch, tokens, heads, channels)
        scores = torch.einsum("bihc,bjhc->bhij", query, key) / query.shape[-1] ** 0.5
        return torch.einsum("bhij,bjhc->bihc", scores.softmax(-1), value)

    monkeypatch.setitem(sys.modules, "xformers.ops", SimpleNamespace(memory_efficient_attention=attention))
    layer.processor.direction = "both"
    batch = torch.cat([forward_x, backward_x])
    wanted = layer(batch)
    layer.processor.kernel = open_kernel("xformers")
    torch.testing.assert_close(layer(batch), wanted, rtol=0, atol=1e-12)


def test_a_batch_beyond_a_launch_of_cuda_is_split(layer, monkeypatch):
    """Both processors, over one position more than a launch takes, give what the whole batch gives."""
    rows, launches = LARGEST_LAUNCH + 1, []

    def kernel(query, key, value):
        launches.append(len(query))
        return torch.nn.functional.scaled_dot_product_attention(query, key, value)

    monkeypatch.setitem(attention.KERNELS, "sdpa", kernel)
    x = torch.randn(rows, 2, CHANNELS, generator=torch.Generator().manual_seed(3))
    layer.float().processor.kernel = open_kernel("sdpa")
    stock = AttnProcessor2_0()
    wanted = stock(layer, x)
    torch.testing.assert_close(layer(x), wanted, rtol=0, atol=1e-6)
    assert launches == [LARGEST_LAUNCH, 1]
    torch.testing.assert_close(SplitAttnProcessor(stock)(layer, x), wanted, rtol=0, atol=1e-6)
    context = x[:, :1]
    torch.testing.assert_close(
        SplitAttnProcessor(stock)(layer, x, context), stock(layer, x, context), rtol=0, atol=1e-6
    )
