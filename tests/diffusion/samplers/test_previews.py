"""The map from latents to colours: exact where there is one, the best affine one elsewhere."""

from __future__ import annotations

import pytest
import torch
from cases import noise, picture

from gen_inbetween.diffusion.samplers.previews import ColourMap


def test_an_affine_decoder_is_found():
    latents, weights, offset = noise(2, 1, 4, 6, 8), noise(3, 4, seed=1), noise(3, seed=2)
    colours = torch.einsum("oc,...chw->...ohw", weights, latents) + offset.reshape(3, 1, 1)
    pictures = colours.repeat_interleave(8, -1).repeat_interleave(8, -2)
    colour_map = ColourMap.fit(latents, pictures)
    clip = noise(2, 5, 4, 3, 7, seed=3)
    wanted = torch.einsum("oc,...chw->...ohw", weights, clip) + offset.reshape(3, 1, 1)
    torch.testing.assert_close(colour_map(clip), wanted)


def test_pictures_of_one_colour_are_no_error():
    latents, pictures = torch.ones(2, 1, 4, 6, 8), torch.full((2, 1, 3, 48, 64), 0.25)
    torch.testing.assert_close(ColourMap.fit(latents, pictures)(latents), torch.full((2, 1, 3, 6, 8), 0.25).double())


def test_a_callback_gets_previews_of_each_step(tiny_pipe):
    pipe, seen = tiny_pipe(motion="full"), []

    def look(pipe, step, timestep, tensors):
        seen.append(tensors["preview"])
        assert set(tensors) == {"preview"}
        return {}

    frames = [picture(1), picture(2)]
    call = {"num_inference_steps": 2, "renoise_steps": 0, "output_type": "latent"}
    out = pipe(*frames, **call, generator=torch.Generator().manual_seed(0))
    looked = pipe(
        *frames,
        **call,
        generator=torch.Generator().manual_seed(0),
        callback_on_step_end=look,
        callback_on_step_end_tensor_inputs=["preview"],
    )
    assert torch.equal(out.latents, looked.latents) and len(seen) == 2
    assert {each.shape for each in seen} == {(1, 6, 3, 16, 24)}
    assert all(0 <= each.min() and each.max() <= 1 for each in seen)
    with pytest.raises(ValueError, match="out of latents, denoised, preview"):
        pipe(*frames, **call, callback_on_step_end=look, callback_on_step_end_tensor_inputs=["previews"])
