"""Keyframes as the UNet is told of them, against what diffusers' own pipeline makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import picture

from gen_inbetween.diffusion.conditioning import (
    embed_frames,
    encode_clean,
    encode_keyframes,
    encode_latents,
    frames_to_tensor,
)


@pytest.fixture(scope="module")
def pipe(tiny_pipe):
    return tiny_pipe()


@pytest.fixture
def frames():
    return frames_to_tensor([picture(0), picture(1)]), frames_to_tensor([picture(2), picture(3)])


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def test_axes_and_the_unconditional_half(pipe, frames):
    keyframes = encode_keyframes(pipe, *frames, num_frames=6)
    assert keyframes.image_latents.shape == (2, 2, 2, 1, 4, 16, 24)
    assert keyframes.image_embeds.shape == (2, 2, 2, 1, 32)
    assert not keyframes.image_latents[:, 0].any() and not keyframes.image_embeds[:, 0].any()
    for pair in (0, 1):
        for direction in (0, 1):
            alone = embed_frames(pipe, frames[direction][pair : pair + 1])
            torch.testing.assert_close(keyframes.image_embeds[direction, 1, pair], alone[0])


def test_svd_is_told_fps_minus_one(pipe, frames):
    keyframes = encode_keyframes(pipe, *frames, num_frames=6, fps=10, motion_bucket_id=40, noise_aug_strength=0.5)
    assert keyframes.added_time_ids.shape == (2, 2, 2, 3)
    torch.testing.assert_close(keyframes.added_time_ids[1, 0, 1], torch.tensor([9, 40, 0.5]))


def test_one_draw_of_noise_is_on_both_keyframes(pipe):
    frame = frames_to_tensor(picture(0))
    options = {"num_frames": 6, "noise_aug_strength": 0.3}
    keyframes = encode_keyframes(pipe, frame, frame, generator=torch.Generator().manual_seed(3), **options)
    forward, backward = keyframes.image_latents[:, 1]
    torch.testing.assert_close(forward, backward, rtol=0, atol=1e-5)  # two places of one batch; another draw is 0.3 off
    noise = torch.randn(frame.shape, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(forward[:, 0], encode_latents(pipe, frame + 0.3 * noise))


def test_encodings_are_those_of_the_stock_pipeline(pipe):
    """diffusers' own steps on the PIL image: resize and normalise for CLIP, `mode()` for the VAE, not scaled."""
    image = picture(0)
    frame = frames_to_tensor(image)
    torch.testing.assert_close(embed_frames(pipe, frame), pipe._encode_image(image, "cpu", 1, False), rtol=0, atol=1e-6)
    stock = pipe.video_processor.preprocess(image, height=32, width=48)
    assert torch.equal(frame, stock)
    wanted = pipe.vae.encode(stock.contiguous()).latent_dist.mode()  # one memory layout, so one convolution kernel
    assert torch.equal(encode_latents(pipe, frame), wanted)


def test_ends_are_clean_and_scaled(pipe, frames):
    ends = encode_clean(pipe, frames)
    assert ends.shape == (2, 2, 4, 16, 24)
    torch.testing.assert_close(ends[1], encode_latents(pipe, frames[1]) * pipe.vae.config.scaling_factor)


def test_counts_and_sizes_come_from_the_configs(tiny_pipe):
    pipe = tiny_pipe(latent_channels=8)
    frame = frames_to_tensor(picture(0))
    assert encode_keyframes(pipe, frame, frame, num_frames=6).image_latents.shape == (2, 2, 1, 1, 8, 16, 24)


def test_a_half_precision_vae_encodes_in_float32(tiny_pipe):
    pipe = tiny_pipe()
    frame = frames_to_tensor(picture(0))
    pipe.vae.half()
    seen = []
    pipe.vae.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    latents = encode_latents(pipe, frame)
    assert seen == [torch.float32] and latents.dtype == torch.float32 and pipe.vae.dtype == torch.float16


def test_select_and_batch_put_direction_outermost(pipe, frames):
    keyframes = encode_keyframes(pipe, *frames, num_frames=6)
    batch = keyframes.batch()["image_embeds"]
    assert batch.shape == (8, 1, 32)
    assert torch.equal(batch[2:4], keyframes.image_embeds[0, 1])
    assert torch.equal(batch[6:8], keyframes.image_embeds[1, 1])
    backward = keyframes.select([1], [1]).batch()["image_embeds"]
    assert torch.equal(backward, batch[6:8])


def test_frames_become_tensors():
    tensor = frames_to_tensor(picture(0))
    assert tensor.shape == (1, 3, 32, 48) and tensor.dtype == torch.float32
    assert tensor[0, 1, 2, 3] == pytest.approx(np.asarray(picture(0))[2, 3, 1] / 127.5 - 1, abs=1e-6)
    torch.testing.assert_close(frames_to_tensor((tensor[0] + 1) / 2), tensor)


def test_every_kind_of_picture_is_the_same_picture(tmp_path):
    images = [picture(0), picture(1)]
    wanted = frames_to_tensor(images)
    arrays = [np.asarray(image) for image in images]
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    for frames in (arrays, np.stack(arrays), tensors, torch.stack(tensors)):
        assert torch.equal(frames_to_tensor(frames), wanted)
    for index, image in enumerate(images):
        image.save(tmp_path / f"{index}.png")
    assert torch.equal(frames_to_tensor([tmp_path / "0.png", str(tmp_path / "1.png")]), wanted)
    floats = np.stack(arrays) / 255
    torch.testing.assert_close(frames_to_tensor(floats), wanted)
    torch.testing.assert_close(frames_to_tensor(torch.from_numpy(floats).movedim(-1, 1)), wanted)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (3, "frame0 as a PIL image, a numpy array, a tensor, a path or a list of them, got int"),
        ("cat.png", "no such file: cat.png"),
        (picture(0).convert("RGBA"), "RGB image, got RGBA: convert it"),
        ([picture(0), picture(0, (40, 32))], "one size for every frame0"),
        (torch.zeros(1, 4, 8, 8), r"shape \(3, H, W\) or \(pair, 3, H, W\), got \(1, 4, 8, 8\)"),
        (torch.zeros(3, 0, 8), r"got \(1, 3, 0, 8\)"),
        (np.zeros((3, 8, 8)), r"shape \(H, W, 3\) or \(pair, H, W, 3\), got \(3, 8, 8\)"),
        (torch.full((3, 8, 8), torch.nan), "NaN"),
        (torch.full((3, 8, 8), 255.0), r"in \[0, 1\], got values from 255"),
    ],
)
def test_bad_frames_are_refused(frames, message):
    with pytest.raises((TypeError, ValueError), match=message):
        frames_to_tensor(frames, "frame0")
