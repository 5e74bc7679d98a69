"""A bundled model with more latent channels, what it learned kept.

    python train/more_latents.py --channels 8 --output outputs/pocket_24 [--base outputs/pocket/pipeline]

The new channels are the strongest components of what the old ones leave of 8 x 8 patches of both synthetic worlds, in
the old ones' scale (see patch_codes.py). They stand behind the old ones. The UNet and the decoder read them with weight
zero and the UNet predicts zero for them, so on the old channels both compute what they did. `<output>` is a diffusers
folder: `base` of grow_pocket.py and refine_decoder.py, which teach both to use them.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clip_banks import draw
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from grow_pocket import LinearEncoder
from patch_codes import PatchCodes
from pretrain_pocket import save_pipeline
from torch import Tensor

from gen_inbetween.media.image import to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.outputs import check_output, reserved
from gen_inbetween.runtime.recipe import one_line_errors

POSTERIOR = 0.05  # standard deviation that the VAE's posterior tells, as in configs/train/pocket_vae.yaml


def some_frames(clips: int, size: int = 64) -> Tensor:
    """First and last frames of training clips of both worlds, (4 clips, 3, S, S) in [-1, 1]."""
    frames = [draw(world, seed, 14, size).frames[[0, -1]] for world in ("plain", "rich") for seed in range(clips)]
    return to_signal(torch.from_numpy(np.concatenate(frames)))


def extended_codes(encode: LinearEncoder, signal: Tensor, extra: int) -> PatchCodes:
    """The old codes and, behind them, `extra` components of what is left of `signal` (N, 3, H, W) in [-1, 1].

    An old code with projection w has the variance 1 / (m |w|)^2, m one constant for all; the new ones get the same m.
    """
    old = encode.weight.T.double()  # (C, 192)
    patches = PatchCodes.patches(signal).flatten(0, 1).double()
    codes = patches @ old.T + encode.bias.double()
    scale = 1 / (old.norm(dim=1) * codes.std(0)).mean()
    centred, inputs = patches - patches.mean(0), codes - codes.mean(0)
    left = centred - inputs @ torch.linalg.lstsq(inputs, centred).solution
    variances, directions = torch.linalg.eigh(torch.cov(left.T))
    variance, direction = variances.flip(0)[:extra], directions.flip(1)[:, :extra]
    new = (direction * (variance**-0.25 / scale.sqrt())).T
    projection = torch.cat([old, new])
    offset = torch.cat([encode.bias.double(), -new @ patches.mean(0)])
    mean = torch.linalg.lstsq(projection, -offset[:, None], driver="gelsd").solution[:, 0]
    return PatchCodes(projection.float(), mean.float())


def extended_vae(vae: Any, codes: PatchCodes) -> Any:
    """A VAE whose encoder computes `codes` and whose decoder does not look at the new ones yet."""
    channels, old = len(codes.projection), vae.config.latent_channels
    wide = AutoencoderKLTemporalDecoder.from_config({**vae.config, "latent_channels": channels})
    weights = copy.deepcopy(vae.decoder.state_dict())
    name = "conv_in.weight"
    grown = torch.zeros_like(wide.decoder.state_dict()[name])
    grown[:, :old] = weights[name]
    wide.decoder.load_state_dict(weights | {name: grown})
    codes.write_into(wide, POSTERIOR)
    return wide.eval()


def extended_unet(unet: Any, channels: int) -> Any:
    """A UNet on `channels` noisy and `channels` image latents that predicts what it did, and zero for the new ones."""
    old = unet.config.out_channels
    wide = UNetSpatioTemporalConditionModel.from_config(
        {**unet.config, "in_channels": 2 * channels, "out_channels": channels}
    )
    weights = unet.state_dict()
    empty = {name: torch.zeros_like(wide.state_dict()[name]) for name in ("conv_in.weight", "conv_out.weight")}
    empty["conv_in.weight"][:, :old] = weights["conv_in.weight"][:, :old]
    empty["conv_in.weight"][:, channels : channels + old] = weights["conv_in.weight"][:, old:]
    empty["conv_out.weight"][:old] = weights["conv_out.weight"]
    bias = torch.zeros(channels)
    bias[:old] = weights["conv_out.bias"]
    wide.load_state_dict(weights | empty | {"conv_out.bias": bias})
    return wide.eval()


def linear_round_trip(codes: PatchCodes, signal: Tensor, fitted_on: Tensor) -> Tensor:
    """What the best linear decoder, fitted on some frames, makes of the codes of others (N, 3, H, W)."""

    def features(frames: Tensor) -> Tensor:
        patches = (PatchCodes.patches(frames) - codes.mean) @ codes.projection.T
        return torch.nn.functional.pad(patches, (0, 1), value=1.0)

    wanted = PatchCodes.patches(fitted_on).flatten(0, 1)
    solution = torch.linalg.lstsq(features(fitted_on).flatten(0, 1), wanted).solution
    decoded = features(signal) @ solution
    return torch.nn.functional.fold(
        decoded.transpose(1, 2), signal.shape[-2:], PatchCodes.PATCH, stride=PatchCodes.PATCH
    )


def gradient_energy(signal: Tensor) -> float:
    return float(signal.diff(dim=-1).square().sum() + signal.diff(dim=-2).square().sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=8, help="new ones")
    parser.add_argument("--clips", type=int, default=150, help="of each world that the components are taken from")
    parser.add_argument(
        "--base", default="outputs/pocket/pipeline", help="a model; this folder is what pretrain_pocket.py leaves"
    )
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with one_line_errors(parser), reserved(arguments.output):
        check_output(arguments.output, [arguments.base], manifest=False)
        widen(arguments)


def widen(arguments: argparse.Namespace) -> None:
    """Tell what more channels would keep, and write the model that has them."""
    pipe: Any = open_pipeline(arguments.base, motion=None, shared=False)
    signal = some_frames(arguments.clips)
    encode = LinearEncoder(pipe, ((signal[::2] + 1) * 127.5).round().byte().permute(0, 2, 3, 1))
    fitted, held = signal[: len(signal) * 3 // 4], signal[len(signal) * 3 // 4 :]  # held: of the rich world
    for extra in range(0, arguments.channels + 1, 4):
        codes = extended_codes(encode, fitted, extra)
        decoded = linear_round_trip(codes, held, fitted)
        psnr = 10 * torch.log10(4 / (decoded - held).square().mean())
        sharpness = gradient_energy(decoded) / gradient_energy(held)
        print(
            f"{len(codes.projection)} channels, best linear decoder, rich world: {psnr:.2f} dB, {sharpness:.3f} sharp"
        )
    codes = extended_codes(encode, signal, arguments.channels)
    pipe.vae = extended_vae(pipe.vae, codes)
    pipe.unet = extended_unet(pipe.unet, len(codes.projection))
    save_pipeline(pipe, arguments.output)


if __name__ == "__main__":
    main()
