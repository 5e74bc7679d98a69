"""More latent channels: the old ones, the decoder's picture and the UNet's prediction stay as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from grow_pocket import LinearEncoder
from more_latents import POSTERIOR, extended_codes, extended_unet, extended_vae, linear_round_trip, some_frames
from patch_codes import PatchCodes
from torch import Tensor

from gen_inbetween.models.loading import open_pipeline


def with_first_latents(signal: Tensor, kept: int) -> Any:
    """The bundled model with its `kept` strongest latent channels alone, as it was before it had more."""
    pipe: Any = open_pipeline("pocket-2", motion=None, shared=False)
    channels = pipe.vae.config.latent_channels
    encode = LinearEncoder(pipe, ((signal + 1) * 127.5).round().byte().permute(0, 2, 3, 1))
    projection, bias = encode.weight.T[:kept], encode.bias[:kept]
    mean = torch.linalg.lstsq(projection, -bias[:, None]).solution[:, 0]
    vae = AutoencoderKLTemporalDecoder.from_config({**pipe.vae.config, "latent_channels": kept})
    weights = pipe.vae.decoder.state_dict()
    vae.decoder.load_state_dict(weights | {"conv_in.weight": weights["conv_in.weight"][:, :kept]})
    PatchCodes(projection, mean).write_into(vae, POSTERIOR)
    config = {**pipe.unet.config, "in_channels": 2 * kept, "out_channels": kept}
    unet = UNetSpatioTemporalConditionModel.from_config(config)
    weights = pipe.unet.state_dict()
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([first[:, :kept], first[:, channels : channels + kept]], 1)
    weights |= {name: weights[name][:kept] for name in ("conv_out.weight", "conv_out.bias")}
    unet.load_state_dict(weights)
    pipe.vae, pipe.unet = vae.eval(), unet.eval()
    return pipe


def test_a_grown_model_computes_what_it_did_and_knows_more() -> None:
    signal = some_frames(12)
    pipe = with_first_latents(signal, 16)
    encode = LinearEncoder(pipe, ((signal + 1) * 127.5).round().byte().permute(0, 2, 3, 1))
    codes = extended_codes(encode, signal, 4)
    few = signal[:2]
    with torch.no_grad():
        before = pipe.vae.encode(few).latent_dist.mode()
        vae = extended_vae(pipe.vae, codes)
        after = vae.encode(few).latent_dist.mode()
        assert after.shape[1] == 20 and torch.allclose(after[:, :16], before, atol=0.02)
        decoded = [model.decode(z, num_frames=2).sample for model, z in ((pipe.vae, before), (vae, after))]
    assert torch.allclose(*decoded, atol=0.02)

    errors = [
        float((linear_round_trip(extended_codes(encode, signal, extra), signal, signal) - signal).square().mean())
        for extra in (0, 4, 8)
    ]
    assert errors[0] > 1.1 * errors[1] > 1.1 * errors[2]
    spread = ((PatchCodes.patches(signal) - codes.mean) @ codes.projection.T).flatten(0, 1).std(0)
    assert 0.1 < spread[16:].max() < spread[:16].max(), "fine channels weigh less than coarse ones, not nothing"

    wide = extended_unet(pipe.unet, 20)
    noisy, image = torch.randn(2, 1, 3, 20, 8, 8, generator=torch.Generator().manual_seed(0))
    told = {"encoder_hidden_states": torch.randn(1, 1, 64), "added_time_ids": torch.ones(1, 3), "return_dict": False}
    with torch.no_grad():
        small = pipe.unet(torch.cat([noisy[:, :, :16], image[:, :, :16]], 2), torch.tensor(0.1), **told)[0]
        grown = wide(torch.cat([noisy, image], 2), torch.tensor(0.1), **told)[0]
    assert torch.allclose(grown[:, :, :16], small, atol=1e-4) and not grown[:, :, 16:].any()
    assert np.isclose(
        sum(p.numel() for p in wide.parameters()), sum(p.numel() for p in pipe.unet.parameters()), rtol=0.02
    )
