"""Streamed decoding is decoding all frames at once, in a fraction of the memory; the other modes say what they are."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder
from torch import Tensor

from gen_inbetween.diffusion.decoding.latents import decode_latents, decode_streamed
from gen_inbetween.memory.counter import counted


def build_vae(dtype: torch.dtype = torch.float32, layers_per_block: int = 2) -> AutoencoderKLTemporalDecoder:
    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        layers_per_block=layers_per_block,
    )
    for weight in vae.parameters():  # lively norms, biases and blends: the default ones would hide a mistake in them
        torch.nn.init.normal_(weight, std=0.05 if weight.ndim > 1 else 0.5)
    return vae.to(dtype).eval()


def draw_latents(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 14, 25])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_streamed_equals_all_at_once(num_frames: int, dtype: torch.dtype, tolerance: float) -> None:
    vae, latents = build_vae(dtype), draw_latents(2, num_frames, 4, 4, 6, dtype=dtype)
    streamed, at_once = (decode_latents(vae, latents, mode=mode) for mode in ("streamed", "all"))
    assert streamed.shape == (2, num_frames, 3, 8, 12) and streamed.dtype == dtype
    assert at_once.std() > 0.1
    torch.testing.assert_close(streamed, at_once, rtol=0, atol=tolerance)


@pytest.mark.parametrize("layers_per_block", [1, 3])
def test_streamed_follows_the_decoder_of_other_depths(layers_per_block: int) -> None:
    """With one layer the middle attention is not run, as in diffusers; with three, the last middle block is not."""
    vae, latents = build_vae(torch.float64, layers_per_block), draw_latents(1, 5, 4, 4, 4, dtype=torch.float64)
    streamed, at_once = (decode_latents(vae, latents, mode=mode) for mode in ("streamed", "all"))
    torch.testing.assert_close(streamed, at_once, rtol=0, atol=1e-12)


def test_streamed_is_close_in_half_precision() -> None:
    vae, latents = build_vae(torch.bfloat16), draw_latents(1, 5, 4, 4, 4)
    streamed, at_once = (decode_latents(vae, latents, mode=mode) for mode in ("streamed", "all"))
    assert streamed.dtype == torch.float32
    truth = decode_latents(build_vae(), latents, mode="all")
    assert (streamed - truth).abs().max() < 1.5 * (at_once - truth).abs().max()  # no worse than decoding at once


def test_streamed_peak_is_below_a_third_on_real_tensors() -> None:
    vae, latents = build_vae(), draw_latents(1, 25, 4, 8, 8)
    with counted() as streamed:
        decode_latents(vae, latents, mode="streamed")
    with counted() as at_once:
        decode_latents(vae, latents, mode="all")
    assert streamed.peak < at_once.peak / 3
    assert at_once.flops < streamed.flops < 1.15 * at_once.flops


def test_all_is_what_diffusers_decodes() -> None:
    vae, latents = build_vae(), draw_latents(1, 3, 4, 4, 4)
    expected = vae.decode(latents[0] / vae.config.scaling_factor, num_frames=3).sample
    torch.testing.assert_close(decode_latents(vae, latents, mode="all")[0], expected)


def test_chunked_is_inexact_unless_one_chunk_holds_the_clip() -> None:
    vae, latents = build_vae(), draw_latents(1, 6, 4, 4, 4)
    at_once = decode_latents(vae, latents, mode="all")
    torch.testing.assert_close(decode_latents(vae, latents, mode="chunked", chunk_size=6), at_once)
    chunked = decode_latents(vae, latents, mode="chunked", chunk_size=4)
    assert chunked.shape == at_once.shape
    assert (chunked - at_once).abs().max() > 1e-2
    torch.testing.assert_close(chunked[:, :4], decode_latents(vae, latents[:, :4], mode="all"))


def test_preview_is_an_affine_map_of_the_latent() -> None:
    """Fitted at the ends, so a flat end comes out in its own mean colour; linear in between."""
    vae = build_vae()
    ends = draw_latents(2, 4)[:, :, None, None].expand(2, 4, 4, 6)
    latents = torch.stack([ends[0], ends.mean(0), ends[1]])[None]
    preview = decode_latents(vae, latents, mode="preview")
    assert preview.shape == (1, 3, 3, 8, 12) and preview.dtype == torch.float32
    alone = decode_latents(vae, latents[:, :1], mode="all")
    torch.testing.assert_close(preview[:, :1].mean((-1, -2)), alone.mean((-1, -2)), rtol=0, atol=1e-4)
    torch.testing.assert_close(preview[:, 1], (preview[:, 0] + preview[:, 2]) / 2, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "tiled"}, "expected a decode mode of streamed, all"),
        ({"chunk_size": 4}, "with mode 'chunked' only"),
        ({"mode": "chunked", "chunk_size": 0}, "size of 1 or more"),
    ],
)
def test_bad_arguments_say_what_to_do(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_latents(build_vae(), draw_latents(1, 2, 4, 4, 4), **arguments)


def test_latents_need_their_five_axes() -> None:
    with pytest.raises(ValueError, match=r"expected latents \(pair, frame"):
        decode_latents(build_vae(), draw_latents(2, 4, 4, 4))


def test_a_vae_left_on_another_device_is_refused() -> None:
    with pytest.raises(ValueError, match="exclude_modules='vae'"):
        decode_streamed(build_vae().to("meta"), draw_latents(2, 4, 4, 4))


def test_model_offload_brings_the_vae_in() -> None:
    """What accelerate hangs on the VAE runs before its layers are called, as it does for vae.decode."""

    class Hook:
        calls = 0

        def pre_forward(self, module: torch.nn.Module) -> None:
            self.calls += 1

    vae = build_vae()
    vae._hf_hook = Hook()
    decode_latents(vae, draw_latents(1, 2, 4, 4, 4), mode="streamed")
    assert vae._hf_hook.calls == 1
