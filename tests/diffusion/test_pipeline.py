"""The pipeline as a user and as diffusers sees it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from cases import picture
from diffusers import StableVideoDiffusionPipeline
from PIL import Image

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion import has_backward_motion, motion_state_dict, remove_backward_motion
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.pipeline import InbetweenPipeline

SIZE = (24, 16)  # width, height
FRAME0, FRAME1 = picture(0, SIZE), picture(1, SIZE)


@pytest.fixture(scope="module")
def pipe(tiny_pipe):
    return tiny_pipe(motion="full", num_frames=4)


def run(pipe, *, seed=0, steps=2, **kwargs):
    kwargs = {"frame0": FRAME0, "frame1": FRAME1, "output_type": "latent", "num_inference_steps": steps} | kwargs
    return pipe(generator=torch.Generator().manual_seed(seed), **kwargs)


def test_svd_equals_the_stock_pipeline(pipe):
    """Same generator: the noise on the frame and the latents are drawn in the same order."""
    stock = StableVideoDiffusionPipeline(**pipe.components)
    stock.set_progress_bar_config(disable=True)
    wanted = stock(
        FRAME0,
        height=16,
        width=24,
        num_inference_steps=6,
        fps=9,
        motion_bucket_id=60,
        noise_aug_strength=0.1,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
    ).frames
    ours = run(pipe, method="svd", steps=6, frame1=None, fps=9, motion_bucket_id=60, noise_aug_strength=0.1)
    torch.testing.assert_close(ours.latents, wanted, rtol=0, atol=2e-5)
    assert ours.passes == 12


@pytest.mark.parametrize("method", METHODS)
def test_passes_are_those_foretold(pipe, method):
    seen = []
    spy = pipe.unet.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    options = {"renoise_ratio": 0.7} if METHODS[method].defaults.renoise_steps else {}
    chosen = SamplerOptions(num_inference_steps=3, **options)
    output = run(pipe, method=method, steps=3, **options)
    spy.remove()
    assert sum(seen) == output.passes == METHODS[method].unet_passes(chosen)
    assert output.options == METHODS[method].resolve(chosen)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_is_the_clip(pipe, method):
    options = {"renoise_steps": 1, "renoise_ratio": 0.5} if method == "gi" else {}
    torch.manual_seed(1)  # the global generator must play no part
    first = run(pipe, method=method, **options).latents
    torch.manual_seed(2)
    assert torch.equal(first, run(pipe, method=method, **options).latents)
    assert not torch.equal(first, run(pipe, method=method, seed=1, **options).latents)


def test_guidance_in_two_passes_makes_the_same_clip(pipe):
    whole, split = (run(pipe, method="gi", renoise_steps=0, split_guidance=split) for split in (False, True))
    torch.testing.assert_close(split.latents, whole.latents, rtol=0, atol=1e-5)
    assert split.passes == whole.passes


def test_a_generator_for_each_pair_makes_the_clips_of_single_runs(pipe):
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    options = {"method": "gi", "num_inference_steps": 2, "renoise_steps": 1, "output_type": "latent"}
    both = pipe([FRAME0, FRAME1], [FRAME1, FRAME0], generator=generators, **options).latents
    second = pipe(FRAME1, FRAME0, generator=torch.Generator().manual_seed(6), **options).latents
    torch.testing.assert_close(both[1:], second, rtol=0, atol=1e-5)


def test_given_latents_are_started_from(pipe):
    noise = torch.randn(1, 4, 4, 8, 12, generator=torch.Generator().manual_seed(9))
    given = {"method": "trf", "latents": noise, "noise_aug_strength": 0.0, "renoise_steps": 0}
    assert torch.equal(run(pipe, seed=0, **given).latents, run(pipe, seed=1, **given).latents)


def test_pinned_ends_hold_the_clean_keyframes(pipe):
    latents = run(pipe, method="trf", pin_ends=True).latents
    for frame, image in ((0, FRAME0), (-1, FRAME1)):
        pixels = pipe.video_processor.preprocess(image)
        with torch.no_grad():
            clean = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae.config.scaling_factor
        torch.testing.assert_close(latents[:, frame], clean, rtol=0, atol=1e-5)


def test_cfg_plus_plus_is_an_option_of_the_fused_methods(pipe):
    options = {"method": "gi", "renoise_steps": 0, "max_guidance_scale": 1.0}
    euler, plus_plus = (run(pipe, cfg_plus_plus=value, **options) for value in (False, True))
    assert (euler.passes, plus_plus.passes) == (4, 8)
    assert not torch.allclose(euler.latents, plus_plus.latents)


def test_output_types(pipe):
    def frames(output_type):
        return run(pipe, method="svd", output_type=output_type).frames

    pil, array, tensor, latents = (frames(output_type) for output_type in ("pil", "np", "pt", "latent"))
    assert len(pil[0]) == 4 and isinstance(pil[0][0], Image.Image) and pil[0][0].size == SIZE
    assert isinstance(array, np.ndarray) and array.shape == (1, 4, 16, 24, 3) and 0 <= array.min() <= array.max() <= 1
    assert tensor.shape == (1, 4, 3, 16, 24)
    np.testing.assert_allclose(tensor.permute(0, 1, 3, 4, 2).numpy(), array)
    np.testing.assert_allclose(np.asarray(pil[0][1]), array[0, 1] * 255, atol=0.51)
    assert latents.shape == (1, 4, 4, 8, 12) and latents.dtype == torch.float32


def test_tuple_instead_of_output(pipe):
    frames, latents, passes, options = run(pipe, method="svd", return_dict=False)
    assert frames is latents and passes == 4 and options.num_inference_steps == 2


def test_callback_sees_and_changes_every_step(pipe):
    seen = []

    def on_step(of, step, timestep, tensors):
        assert of is pipe
        seen.append((step, round(timestep.item(), 3)))
        return {"latents": tensors["latents"] * 0} if step == 2 else {}

    output = run(pipe, method="gi", renoise_steps=1, renoise_ratio=0.5, callback_on_step_end=on_step)
    assert seen == [(0, 1.638), (1, 1.638), (2, -1.554)]  # log(700) / 4 twice, the repeat counted, and log(0.002) / 4
    assert not output.latents.any() and pipe.num_timesteps == 3


def test_progress_bar_counts_every_step(pipe, capsys):
    pipe.set_progress_bar_config(disable=False)
    run(pipe, method="gi", renoise_steps=1, renoise_ratio=0.5)
    pipe.set_progress_bar_config(disable=True)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize("offload", ["model", "leaf_level", "block_level"])
def test_offloading_changes_no_bit(tiny_pipe, offload):
    pipe = tiny_pipe(motion="full", num_frames=4)
    options = {"method": "gi", "renoise_steps": 1, "output_type": "pt"}
    plain = run(pipe, **options)
    if offload == "model":
        pipe.enable_model_cpu_offload(device="cpu")
    else:
        blocks = 1 if offload == "block_level" else None
        pipe.enable_group_offload(torch.device("cpu"), offload_type=offload, num_blocks_per_group=blocks)
    again = run(pipe, **options)
    assert torch.equal(again.latents, plain.latents) and torch.equal(again.frames, plain.frames)


def test_half_precision_keeps_the_clip_in_float32(tiny_pipe):
    single = run(tiny_pipe(motion="full", num_frames=4), method="gi", renoise_steps=0).latents
    pipe = tiny_pipe(motion="full", num_frames=4).to(torch.bfloat16)
    half = run(pipe, method="gi", renoise_steps=0).latents
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, single, rtol=0, atol=0.1)  # the noise is the same at every precision


def test_other_latent_channels_and_lengths(tiny_pipe):
    pipe = tiny_pipe(motion="lora", latent_channels=8, num_frames=4)
    assert run(pipe, method="gi", num_frames=5, renoise_steps=0).latents.shape == (1, 5, 8, 8, 12)


def test_saving_leaves_the_motion_out_and_in_place(pipe, tmp_path):
    state = motion_state_dict(pipe.unet)
    pipe.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "model_index.json").read_text())["_class_name"] == "StableVideoDiffusionPipeline"
    assert all(torch.equal(state[name], value) for name, value in motion_state_dict(pipe.unet).items())
    again = InbetweenPipeline.from_pretrained(tmp_path)
    stock = StableVideoDiffusionPipeline.from_pretrained(tmp_path)
    assert again.motion is None and not has_backward_motion(again.unet)
    assert set(again.unet.state_dict()) == set(stock.unet.state_dict())
    again.set_progress_bar_config(disable=True)
    assert torch.equal(run(again, method="trf").latents, run(pipe, method="trf").latents)


def test_gi_without_motion_says_where_to_get_one(tiny_pipe):
    with pytest.raises(MissingMotionError, match="trf and vibid need none"):
        run(tiny_pipe(), method="gi")


def test_a_motion_that_was_replaced_is_noticed(tiny_pipe):
    pipe = tiny_pipe(motion="full", num_frames=4)
    pipe.motion = object()  # what load_motion has left
    remove_backward_motion(pipe.unet)  # what enable_xformers_memory_efficient_attention does
    with pytest.raises(RuntimeError, match="enable_xformers.*load_motion again"):
        run(pipe, method="gi")


def test_a_clip_that_is_not_finite_is_an_error(tiny_pipe):
    pipe = tiny_pipe(num_frames=4)
    torch.nn.init.constant_(pipe.unet.conv_out.bias, torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        run(pipe, method="svd")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "gy"}, "did you mean 'gi'"),
        ({"method": "svd", "steps": 0}, "num_inference_steps"),
        ({"method": "trf", "frame1": None}, "no frame1; svd works from frame0 alone"),
        ({"frame1": picture(1, (32, 16))}, r"keyframes .* alike, got \(1, 3, 16, 24\) and \(1, 3, 16, 32\)"),
        ({"height": 32}, "given size None x 32, got 24 x 16 pixels: gen_inbetween.inbetween fits"),
        ({"frame0": picture(0, (25, 16)), "frame1": picture(0, (25, 16))}, "multiples of 2, got 25 x 16"),
        ({"num_frames": 1}, "at least 2, the keyframes, got 1"),
        ({"fps": 0}, "fps of at least 1, got 0"),
        ({"motion_bucket_id": 300}, "0 to 255, got 300"),
        ({"noise_aug_strength": float("nan")}, "noise_aug_strength of at least 0, got nan"),
        ({"fusion": "max"}, "average, linear, got 'max'"),
        ({"output_type": "gif"}, "pil, np, pt, latent, got 'gif'"),
        ({"latents": torch.zeros(1, 4, 4, 8, 8)}, r"shape \(1, 4, 4, 8, 12\), got \(1, 4, 4, 8, 8\)"),
        ({"latents": torch.full((1, 4, 4, 8, 12), torch.nan)}, "finite latents"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, r"'latents' alone as a callback tensor, got \['noise'\]"),
    ],
)
def test_bad_arguments(pipe, given, message):
    with pytest.raises(ValueError, match=message):
        run(pipe, **given)
