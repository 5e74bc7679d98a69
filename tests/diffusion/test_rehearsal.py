"""What a GPU would run, rehearsed at full size on a CPU: every device, dtype and shape, no values."""

from __future__ import annotations

import pytest
import torch
import training_memory
from rehearsal import FakeCuda, Placed, full_size_parts, full_size_pipe, place, training_clip

from gen_inbetween.diffusion.decoding.latents import decode_latents
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion import FullUpdate, add_backward_motion, remove_backward_motion
from gen_inbetween.diffusion.samplers import motion_bucket
from gen_inbetween.memory.apply import apply_memory_options
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.options import MemoryOptions
from gen_inbetween.training.loss import backward_motion_loss

# A torch that was built for CUDA looks for its driver, whatever is faked.
pytestmark = pytest.mark.skipif(
    torch.version.cuda is not None and not torch.cuda.is_available(), reason="a CUDA build of torch without its driver"
)
HALF = torch.float16
FRAMES, HEIGHT, WIDTH = 25, 576, 1024


@pytest.fixture(scope="module")
def gpu():
    return FakeCuda(allow_non_fake_inputs=True)


@pytest.fixture(scope="module")
def pipe(gpu):
    parts = full_size_parts(HALF)
    with gpu, Placed():
        return full_size_pipe(parts, HALF)


@pytest.fixture(autouse=True)
def on_the_gpu(gpu, pipe):
    with gpu, Placed():
        yield


def picture(height=HEIGHT, width=WIDTH):
    return torch.rand(3, height, width)


def sample(pipe, method, frame=None, **options):
    frame = picture() if frame is None else frame
    options = {"output_type": "latent", "num_inference_steps": 2} | options
    return pipe(frame, frame, method=method, generator=torch.Generator("cpu").manual_seed(0), **options)


FEWER = {  # repeats enough that x travels back once
    "gi": {"renoise_steps": 1, "renoise_ratio": 0.5},
    "trf": {"renoise_span": 1, "renoise_ratio": 1.0},
    "vibid": {"solver": "dpmpp_2m"},
    "mpd": {"mpd_ratio": 0.5, "mpd_repeats": 1, "mpd_blur": 4.0, "mpd_decay": True, "mpd_shift": "ramp"},
    "mpd-parallel": {"mpd_ratio": 0.0, "renoise_steps": 1, "solver": "gradient", "num_inference_steps": 1},
    "mpd-gi": {"mpd_ratio": 0.5, "mpd_repeats": 1, "mpd_symmetric": True, "guidance_shape": "triangle"},
    "svd": {"guidance_mode": "apg", "apg_norm": 0.1},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_at_full_size(pipe, method):
    out = sample(pipe, method, **FEWER.get(method, {}))
    assert out.latents.device.type == "cuda" and out.latents.dtype == torch.float32
    assert out.latents.shape == (1, FRAMES, 4, HEIGHT // 8, WIDTH // 8)
    assert out.unet_passes == METHODS[method].unet_passes(out.options)


def test_the_search_for_a_motion_bucket(pipe, monkeypatch):
    monkeypatch.setattr(motion_bucket, "BUCKETS", (112,))  # of four, so that it takes half a minute
    keyframes = [picture()[None] * 2 - 1 for _ in range(2)]
    generator = torch.Generator("cpu").manual_seed(0)
    found = motion_bucket.find_motion_bucket(pipe, keyframes, (0, FRAMES - 1), FRAMES, rotate=True, generator=generator)
    assert list(found.tried) == [80, 112, 144] and found.unet_passes == 18


@pytest.mark.parametrize(("mode", "frames"), [("streamed", FRAMES), ("all", 2), ("chunked", 9), ("preview", 2)])
def test_every_way_to_decode(pipe, mode, frames):
    latents = torch.empty(1, frames, 4, HEIGHT // 8, WIDTH // 8, device="cuda")
    decoded = decode_latents(pipe.vae, latents, mode=mode)
    assert decoded.shape == (1, frames, 3, HEIGHT, WIDTH)
    assert decoded.device.type == "cuda" and decoded.dtype == torch.float32


def test_memory_options_and_pictures_as_a_caller_gets_them(pipe):
    apply_memory_options(pipe, MemoryOptions(forward_chunking=1), "cuda")
    out = sample(pipe, "gi", num_inference_steps=1, num_frames=2, split_guidance=True, output_type="pt")
    assert out.unet_passes == 4 and out.frames.device.type == "cuda"
    apply_memory_options(pipe, MemoryOptions(forward_chunking=0, offload="model"), "cuda")
    assert pipe.unet.device.type == "cpu"
    out = sample(pipe, "svd", num_inference_steps=1, num_frames=2, output_type="pt")
    assert out.frames.device.type == "cuda" and pipe.unet.device.type == "cpu"
    apply_memory_options(pipe, MemoryOptions(offload="none"), "cuda")


@pytest.mark.parametrize("method", ["gi", "trf"])
def test_a_larger_picture_splits_the_temporal_attention(pipe, method):
    """Of our processor and of diffusers' own: 130,560 positions, of both directions and guidance halves."""
    if method == "trf":
        remove_backward_motion(pipe.unet)
    out = sample(pipe, method, picture(1088, 1920), num_inference_steps=1, num_frames=3)
    assert out.latents.shape == (1, 3, 4, 136, 240)


def test_a_launch_takes_no_more_positions_than_cuda_s():
    query = torch.empty(65_536, 5, 25, 64, dtype=HALF, device="cuda")
    with pytest.raises(RuntimeError, match="invalid configuration"):
        torch.nn.functional.scaled_dot_product_attention(query, query, query)


def test_what_does_not_fit_together_is_caught(pipe):
    """The rehearsal itself: on another device, in another precision, an operator raises."""
    latents = torch.empty(1, 4, 72, 128, device="cuda", dtype=HALF)
    with pytest.raises(RuntimeError, match="[Dd]evice"):
        pipe.vae.decoder.conv_in(latents.to("cpu") + latents)
    with pytest.raises(RuntimeError, match="dtype|type"):
        pipe.vae.decoder.conv_in(latents.float())


@torch.no_grad()
def test_the_loss_of_training(pipe):
    """Without gradients, which a CPU build of torch cannot record on "cuda": tests/training/test_full_size_step.py."""
    unet, half = pipe.unet, training_memory.HALF
    remove_backward_motion(unet)
    add_backward_motion(unet)
    place(unet, "cuda", half)
    install_constant_cross_attention(unet)
    for module in unet.modules():
        if isinstance(module, FullUpdate):
            place(module, "cuda", torch.float32)
    clip, keyframes = training_clip("cuda", half)
    with training_memory.Autocast():
        loss = backward_motion_loss(unet, clip, keyframes, torch.ones(1, device="cuda"))
    assert loss.dtype == torch.float32 and loss.device.type == "cuda"
