"""The update: found, installed, saved, loaded, removed."""

from __future__ import annotations

import pytest
import torch
from cases import fused, make_case
from diffusers import UNetSpatioTemporalConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0

from gen_inbetween.diffusion.attention import BidirectionalAttnProcessor
from gen_inbetween.diffusion.conditioning import BACKWARD, COND
from gen_inbetween.diffusion.edm import denoise
from gen_inbetween.diffusion.motion import (
    add_backward_motion,
    has_backward_motion,
    load_motion_state_dict,
    motion_state_dict,
    remove_backward_motion,
    rotates,
    set_direction,
    temporal_self_attentions,
    without_backward_motion,
)

PATH = "down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1"


@pytest.fixture(scope="module")
def unet(tiny_pipe):
    return tiny_pipe().unet


@pytest.fixture(autouse=True)
def stock(unet):
    yield
    remove_backward_motion(unet)


def test_full_size_svd_has_16_layers_and_24_8_million_weights_to_tune():
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel(num_attention_heads=(5, 10, 20, 20), num_frames=25)
    assert len(temporal_self_attentions(unet)) == 16
    add_backward_motion(unet)
    trained = sum(weight.numel() for weight in unet.parameters() if weight.requires_grad)
    frozen = sum(weight.numel() for weight in unet.parameters() if not weight.requires_grad)
    assert frozen == 1_524_623_082
    assert trained == 24_780_800  # the published 24,793,280 with the 16 output biases, which do not train


def test_paths_name_layers_of_the_unet(unet):
    for path, attn in temporal_self_attentions(unet).items():
        assert unet.get_submodule(path) is attn


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="without temporal attention"):
        temporal_self_attentions(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("update", ["full", "lora"])
def test_new_motion_changes_nothing_and_trains_alone(unet, update):
    add_backward_motion(unet, update, rank=4)
    assert has_backward_motion(unet)
    trained = {name for name, weight in unet.named_parameters() if weight.requires_grad}
    assert trained and all(".processor.update_" in name for name in trained)
    x = torch.randn(3, 32)
    processor = temporal_self_attentions(unet)[PATH].processor
    assert not processor.update_v(x).any() and not processor.update_out(x).any()


@pytest.mark.parametrize("update", ["full", "lora"])
def test_state_dict_round_trip(tiny_pipe, unet, update):
    tuned = tiny_pipe(motion=update).unet
    state = motion_state_dict(tuned)
    names = {"weight"} if update == "full" else {"lora_A.weight", "lora_B.weight"}
    assert {f"{PATH}.{layer}.{name}" for layer in ("to_v", "to_out.0") for name in names} < set(state)
    load_motion_state_dict(unet, state, alpha=8)
    again = motion_state_dict(unet)
    assert set(again) == set(state) and all(torch.equal(again[name], state[name]) for name in state)
    x = torch.randn(3, 32)
    for path, attn in temporal_self_attentions(unet).items():
        if attn.to_v.in_features == 32:
            original = temporal_self_attentions(tuned)[path].processor
            assert torch.equal(attn.processor.update_v(x), original.update_v(x))


@pytest.mark.parametrize("update", ["full", "lora"])
@pytest.mark.parametrize("projections", ["vo", "qkvo"])
@torch.no_grad()
def test_untuned_and_unrotated_is_stock_svd_on_the_reversed_clip(tiny_pipe, update, projections):
    """To the bit in a direction of its own; both at once attend by halves of the batch, in another order of sums."""
    unet = tiny_pipe(dtype=torch.float64).unet.requires_grad_(False)  # as it is with a motion: it decides the order too
    x, keyframes = make_case(5, pairs=2)
    sigma = torch.tensor(3.0, dtype=torch.float64)
    told = keyframes.select([BACKWARD], [COND]).batch()
    stock = denoise(unet, x.flip(1), sigma, **told)
    trf = fused(unet, keyframes, "linear", rotate=False)(x, sigma).guided
    add_backward_motion(unet, update, rank=2, rotate=False, projections=projections)
    set_direction(unet, "backward")
    assert torch.equal(denoise(unet, x.flip(1), sigma, **told), stock)
    torch.testing.assert_close(fused(unet, keyframes, "linear")(x, sigma).guided, trf, rtol=0, atol=1e-12)


@torch.no_grad()
def test_an_unrotated_update_acts_on_backward_motion_alone(tiny_pipe):
    unet = tiny_pipe(motion="full", rotate=False, projections="qkvo", dtype=torch.float64).unet
    x, keyframes = make_case(5)
    sigma = torch.tensor(3.0, dtype=torch.float64)
    tuned, stock = (fused(unet, keyframes, rotate=rotate).guide(torch.stack([x, x]), sigma)[0] for rotate in (1, 0))
    torch.testing.assert_close(tuned[0], stock[0], rtol=0, atol=1e-12)  # half a batch against a whole one
    assert (tuned[1] - stock[1]).abs().max() > 1e-2


@pytest.mark.parametrize("update", ["full", "lora"])
def test_tuned_queries_and_keys_come_back(tiny_pipe, unet, update):
    state = motion_state_dict(tiny_pipe(motion=update, rotate=False, projections="qkvo").unet)
    with pytest.raises(ValueError, match="rotate=false"):
        load_motion_state_dict(unet, state, alpha=8)
    load_motion_state_dict(unet, state, alpha=8, rotate=False)
    again = motion_state_dict(unet)
    assert {name.split("attn1.")[1].split(".")[0] for name in again} == {"to_q", "to_k", "to_v", "to_out"}
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)
    assert not rotates(unet)
    del state[f"{PATH}.to_k.{'weight' if update == 'full' else 'lora_A.weight'}"]
    with pytest.raises(ValueError, match="to_k"):
        load_motion_state_dict(unet, state, alpha=8, rotate=False)


def test_a_bias_difference_is_kept(tiny_pipe, unet):
    state = motion_state_dict(tiny_pipe(motion="full").unet)
    state |= {
        f"{path}.to_out.0.bias": torch.ones(attn.to_out[0].out_features)
        for path, attn in temporal_self_attentions(unet).items()
    }
    load_motion_state_dict(unet, state)
    assert set(motion_state_dict(unet)) == set(state)
    assert temporal_self_attentions(unet)[PATH].processor.update_out.bias.eq(1).all()


def broken(state, change):
    state = dict(state)
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(f"{PATH}.to_v.weight"), "got nothing"),
        (lambda s: s.update({"down_blocks.9.to_v.weight": torch.ones(1)}), "unknown weights.*down_blocks.9"),
        (lambda s: s.update({f"{PATH}.to_v.weight": torch.ones(2, 2)}), r"\(32, 32\).*\(2, 2\)"),
        (lambda s: s.update({f"{PATH}.to_v.weight": torch.full((32, 32), torch.nan)}), "NaN"),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_installed(tiny_pipe, unet, change, message):
    state = broken(motion_state_dict(tiny_pipe(motion="full").unet), change)
    with pytest.raises(ValueError, match=message):
        load_motion_state_dict(unet, state)
    assert not any(isinstance(a.processor, BidirectionalAttnProcessor) for a in temporal_self_attentions(unet).values())


def test_lora_without_alpha_is_refused(tiny_pipe, unet):
    with pytest.raises(ValueError, match="alpha"):
        load_motion_state_dict(unet, motion_state_dict(tiny_pipe(motion="lora").unet))


def test_bad_arguments(unet):
    with pytest.raises(ValueError, match="'full' or 'lora'"):
        add_backward_motion(unet, "dora")
    with pytest.raises(ValueError, match="rank"):
        add_backward_motion(unet, "lora", rank=0)
    with pytest.raises(ValueError, match="vo, qkvo, got 'v'"):
        add_backward_motion(unet, projections="v")
    with pytest.raises(ValueError, match="rotate=false"):
        add_backward_motion(unet, projections="qkvo")
    with pytest.raises(RuntimeError, match="found none"):
        motion_state_dict(unet)
    with pytest.raises(ValueError, match="sideways"):
        set_direction(unet, "sideways")


def test_replaced_processors_are_noticed(unet):
    add_backward_motion(unet)
    temporal_self_attentions(unet)[PATH].set_processor(AttnProcessor2_0())  # what enabling xformers does, in one layer
    assert not has_backward_motion(unet)
    with pytest.raises(RuntimeError, match=f"{PATH}, found AttnProcessor2_0.*enable_xformers"):
        set_direction(unet, "both")
    set_direction(unet, "forward")  # stock SVD needs nothing


def test_set_aside_and_put_back(unet):
    add_backward_motion(unet)
    state = motion_state_dict(unet)
    with pytest.raises(KeyError), without_backward_motion(unet):
        assert not has_backward_motion(unet) and not any("processor" in name for name in unet.state_dict())
        raise KeyError
    assert all(
        value is again or torch.equal(value, again)
        for value, again in zip(state.values(), motion_state_dict(unet).values(), strict=True)
    )
