"""One training step: its loss against two UNets, its gradients on the update alone."""

from __future__ import annotations

import copy

import pytest
import torch
from cases import make_case, raw
from reference import predict_v, to_denoised, two_unets

from gen_inbetween.diffusion.motion import (
    add_backward_motion,
    motion_state_dict,
    remove_backward_motion,
    temporal_self_attentions,
)
from gen_inbetween.training.loss import backward_motion_loss

SIGMA = torch.tensor(2.0, dtype=torch.float64)


def loss_of(unet, pairs=1, seed=0, sigma=SIGMA):
    clip, keyframes = make_case(5, pairs)
    return backward_motion_loss(unet, clip, keyframes, sigma, torch.Generator().manual_seed(seed))


def gradients(unet):
    return {name: weight.grad for name, weight in unet.named_parameters() if weight.grad is not None}


def test_loss_equals_that_of_two_unets(tiny_pipe):
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    clip, keyframes = make_case(5)
    forward, backward = two_unets(unet, motion_state_dict(unet))
    noise = torch.randn(clip.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noisy = clip.flip(1) + SIGMA * noise
    told = [[value[way, 1] for value in raw(keyframes)] for way in (0, 1)]
    with torch.no_grad():
        predict_v(forward, noisy.flip(1), SIGMA, *told[0])
        denoised = to_denoised(noisy, predict_v(backward, noisy, SIGMA, *told[1]), SIGMA)
    wanted = (SIGMA**2 + 1) / SIGMA**2 * (denoised - clip.flip(1)).square().mean()
    torch.testing.assert_close(loss_of(unet).detach(), wanted, rtol=1e-10, atol=0)


def test_without_rotation_the_loss_is_that_of_one_tuned_unet(tiny_pipe):
    unet = tiny_pipe(motion="full", rotate=False, projections="qkvo", dtype=torch.float64).unet
    clip, keyframes = make_case(5)
    tuned = copy.deepcopy(unet)
    remove_backward_motion(tuned)
    with torch.no_grad():
        for name, difference in motion_state_dict(unet).items():
            tuned.get_parameter(name).add_(difference)
        noise = torch.randn(clip.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        noisy = clip.flip(1) + SIGMA * noise
        told = [value[1, 1] for value in raw(keyframes)]
        denoised = to_denoised(noisy, predict_v(tuned, noisy, SIGMA, *told), SIGMA)
    wanted = (SIGMA**2 + 1) / SIGMA**2 * (denoised - clip.flip(1)).square().mean()
    torch.testing.assert_close(loss_of(unet).detach(), wanted, rtol=1e-10, atol=0)


@pytest.mark.parametrize("rotate", [True, False])
def test_only_the_turned_map_costs_a_forward_pass(tiny_pipe, rotate):
    unet, calls = tiny_pipe(motion="full", rotate=rotate, dtype=torch.float64).unet, []
    unet.register_forward_hook(lambda *_: calls.append(1))
    loss_of(unet)
    assert len(calls) == 1 + rotate


@pytest.mark.parametrize("update", ["full", "lora"])
@pytest.mark.parametrize("variant", [{}, {"rotate": False}, {"rotate": False, "projections": "qkvo"}])
def test_gradients_reach_the_update_alone(tiny_pipe, update, variant):
    unet = tiny_pipe(motion=update, dtype=torch.float64, **variant).unet
    loss_of(unet).backward()
    got = gradients(unet)
    assert set(got) == {name for name, _ in unet.named_parameters() if ".processor." in name}
    assert all(gradient.any() for gradient in got.values())
    layers = len(temporal_self_attentions(unet)) * (4 if "projections" in variant else 2)
    assert len(got) == layers * (2 if update == "lora" else 1)


def test_gradients_are_the_same_under_checkpointing(tiny_pipe):
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    loss_of(unet).backward()
    wanted = gradients(unet)
    unet.zero_grad()
    unet.train()  # gradient checkpointing is off in eval mode; the model has no dropout
    unet.enable_gradient_checkpointing()
    loss_of(unet).backward()
    for name, gradient in gradients(unet).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=0, atol=1e-12)


def test_a_level_for_each_clip_of_a_batch(tiny_pipe):
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    same = loss_of(unet, pairs=2, sigma=torch.full((2,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(same, loss_of(unet, pairs=2))
    assert loss_of(unet, pairs=2, sigma=torch.tensor([2.0, 9.0], dtype=torch.float64)) != same


def test_the_seed_is_the_loss(tiny_pipe):
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    assert loss_of(unet) == loss_of(unet) and loss_of(unet) != loss_of(unet, seed=1)


def test_a_wrapped_unet_runs_its_own_forward_once(tiny_pipe):
    """DDP synchronises in its forward, which must run once for each backward."""

    class Wrapped(torch.nn.Module):
        calls = 0

        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *args, **kwargs):
            self.calls += 1
            return self.module(*args, **kwargs)

    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    wrapped = Wrapped(unet)
    assert loss_of(wrapped) == loss_of(unet) and wrapped.calls == 1


def test_without_motion_there_is_nothing_to_train(tiny_pipe):
    with pytest.raises(RuntimeError, match="add_backward_motion"):
        loss_of(tiny_pipe(dtype=torch.float64).unet)


def test_some_steps_lower_the_loss(tiny_pipe):
    unet = tiny_pipe(dtype=torch.float64).unet
    add_backward_motion(unet)
    optimizer = torch.optim.AdamW([weight for weight in unet.parameters() if weight.requires_grad], lr=1e-2)
    losses = []
    for _ in range(4):
        loss = loss_of(unet)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
