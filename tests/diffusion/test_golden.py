"""What the published implementation computes on a small random SVD; tests/golden/README.md says what each tensor is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gen_inbetween.diffusion import conditioning, sampling
from gen_inbetween.diffusion.conditioning import KeyframeConditioning
from gen_inbetween.diffusion.edm import scheduler_sigmas
from gen_inbetween.diffusion.motion import (
    load_motion_state_dict,
    motion_state_dict,
    set_direction,
    temporal_self_attentions,
)
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.training import loss as training
from gen_inbetween.training.loss import backward_motion_loss

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4  # float32; measured: 7e-6 and below


@pytest.fixture(scope="module")
def expected():
    return load_file(GOLDEN / "expected.safetensors")


@pytest.fixture(scope="module")
def case():
    return json.loads((GOLDEN / "case.json").read_text())


@pytest.fixture(scope="module")
def pipe():
    pipe = InbetweenPipeline.from_pretrained(GOLDEN / "model").to(torch.float32)
    load_motion_state_dict(pipe.unet, load_file(GOLDEN / "vo_delta.safetensors"))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def keyframes(expected):
    """raw.image_latents* and raw.embeds* on their axes (direction, guidance, pair, ...), zeros where unconditional."""
    latents = torch.stack([expected["raw.image_latents0"][:, :1], expected["raw.image_latents1"][:, :1]])
    embeds = torch.stack([expected["raw.embeds0"], expected["raw.embeds1"]])
    ids = torch.tensor([6, 127, 0.02]).expand(2, 2, 1, 3)
    return KeyframeConditioning(conditioning.beside_zeros(latents), conditioning.beside_zeros(embeds), ids, 6)


def close(actual, wanted):
    torch.testing.assert_close(actual, wanted, rtol=0, atol=TOLERANCE)


def test_raw_passes_of_both_directions_in_one_batch(pipe, expected, keyframes):
    latents = expected["raw.latents"]
    both = torch.cat([latents, latents.flip(1)])
    told = keyframes.select([0, 1], [1]).batch()
    sample = torch.cat([both, told["image_latents"].expand(-1, 6, -1, -1, -1)], dim=2)
    set_direction(pipe.unet, "both")
    with torch.no_grad():
        out = pipe.unet(
            sample,
            expected["raw.timestep"],
            encoder_hidden_states=told["image_embeds"],
            added_time_ids=told["added_time_ids"],
        ).sample
    set_direction(pipe.unet, "forward")
    close(out[:1], expected["raw.forward"])
    close(out[1:], expected["raw.backward"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain", {"fusion": "average", "renoise_steps": 0}),
        ("weighted", {"fusion": "linear", "renoise_steps": 0}),
        ("inject", {"fusion": "average", "renoise_steps": 2, "renoise_ratio": 0.5}),
    ],
)
def test_sampled_latents(pipe, expected, case, monkeypatch, name, options):
    injected = iter(v for k, v in sorted(expected.items()) if k.startswith(f"sample.{name}.injected_noise"))
    monkeypatch.setattr(conditioning, "randn_tensor", lambda *_, **__: expected[f"sample.{name}.image_noise"])
    monkeypatch.setattr(sampling, "randn_tensor", lambda *_, **__: next(injected))
    output = pipe(
        Image.open(GOLDEN / "frame0.png"),
        Image.open(GOLDEN / "frame1.png"),
        method="gi",
        num_frames=case["F"],
        num_inference_steps=case["steps"],
        min_guidance_scale=case["min_guidance"],
        max_guidance_scale=case["max_guidance"],
        fps=case["fps"],
        motion_bucket_id=case["motion_bucket_id"],
        noise_aug_strength=case["noise_aug_strength"],
        latents=expected["sample.init_noise"],
        output_type="latent",
        preset="published",
        **options,
    )
    close(output.latents, expected[f"sample.{name}.latents"])
    assert next(injected, None) is None  # every recorded draw was used


def test_noise_levels(pipe, expected, case):
    sigmas = scheduler_sigmas(pipe.scheduler, case["steps"])
    torch.testing.assert_close(sigmas, expected["sample.sigmas"], rtol=1e-6, atol=0)
    torch.testing.assert_close(sigmas[:-1].log() / 4, expected["sample.timesteps"], rtol=1e-5, atol=1e-6)


def test_training_loss_and_gradients(pipe, expected, case, keyframes, monkeypatch):
    monkeypatch.setattr(training, "randn_tensor", lambda *_, **__: expected["train.noise_backward"])
    try:
        loss = backward_motion_loss(pipe.unet, expected["train.latents"], keyframes, expected["train.sigma"])
        loss.backward()
        close(loss.detach().reshape(1), expected["train.loss"])
        attentions = temporal_self_attentions(pipe.unet)
        gradients = {}
        for path, attn in attentions.items():
            gradients[f"{path}.to_v.weight"] = attn.processor.update_v.weight.grad
            gradients[f"{path}.to_out.0.weight"] = attn.processor.update_out.weight.grad
        assert set(gradients) == set(case["trained"]) <= set(motion_state_dict(pipe.unet))
        for name, gradient in gradients.items():
            wanted = expected[f"train.grad.{name}"]  # as small as 1e-3, so that the error is held against its size
            assert (gradient - wanted).norm() < TOLERANCE * wanted.norm(), name
    finally:
        pipe.unet.zero_grad()
        set_direction(pipe.unet, "forward")
