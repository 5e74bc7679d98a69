"""Width of the UNet's first level against how well it copies a picture that stands still.

    python eval/pocket_copying.py            # writes eval/pocket_copying.json

Small UNets of SVD's class, alike but for the width of their first level, learn from nothing on clips that repeat one
picture: the denoised clip is then the first frame, which stands beside the noise for them to copy. What is left of the
error after equally many steps is what the layers between cannot pass. Seeds of the pictures are held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.diffusion.conditioning import encode_latents
from gen_inbetween.diffusion.edm import denoise, edm_loss, sample_sigma
from gen_inbetween.media.image import to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.recipe import add_output, write_findings, writing_report

WIDTHS = (32, 64, 96)
SIGMAS = (0.2, 1.0, 5.0, 100.0)
FRAMES, BATCH = 4, 16


def pictures(pipe: Any, seeds: range) -> Tensor:
    """Latents of first frames, (N, C, 8, 8)."""
    frames = torch.stack([torch.from_numpy(make_clip(seed, num_frames=2).frames[0]) for seed in seeds])
    with torch.no_grad():
        return torch.cat([encode_latents(pipe, part) for part in to_signal(frames).split(32)])


def small_unet(width: int, channels: int) -> UNetSpatioTemporalConditionModel:
    torch.manual_seed(0)
    unet = UNetSpatioTemporalConditionModel(
        sample_size=8, in_channels=2 * channels, out_channels=channels, num_frames=FRAMES,
        layers_per_block=1, cross_attention_dim=16,
        block_out_channels=(width, 64), num_attention_heads=(width // 16, 4),
        addition_time_embed_dim=32, projection_class_embeddings_input_dim=96,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    )  # fmt: skip
    torch.nn.init.zeros_(unet.conv_out.weight)
    return unet


def predict(unet: Any, clean: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    noisy = clean + sigma.view(-1, 1, 1, 1, 1) * torch.randn(clean.shape, generator=generator)
    count = len(clean)
    return denoise(
        unet, noisy, sigma, image_latents=clean[:, :1], image_embeds=torch.zeros(count, 1, 16),
        added_time_ids=torch.zeros(count, 3),
    )  # fmt: skip


def learn(width: int, steps: int, training: Tensor, held_out: Tensor, lr: float) -> dict[str, float]:
    """Squared error per latent value at each noise level, on held-out pictures, after `steps` of Adam."""
    unet = small_unet(width, training.shape[1])
    optimizer = torch.optim.AdamW(unet.parameters(), lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        index = torch.randint(len(training), (BATCH,), generator=generator)
        clean = training[index][:, None].expand(-1, FRAMES, -1, -1, -1)
        sigma = sample_sigma((BATCH,), generator)
        loss = edm_loss(predict(unet, clean, sigma, generator), clean, sigma)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    errors: dict[str, float] = {}
    clean = held_out[:, None].expand(-1, FRAMES, -1, -1, -1)
    with torch.no_grad():
        for sigma in SIGMAS:
            generator = torch.Generator().manual_seed(0)
            denoised = predict(unet, clean, torch.full((len(clean),), sigma), generator)
            errors[f"{sigma:g}"] = float((denoised - clean).square().mean())
            errors[f"{sigma:g}, means of frames"] = float((denoised - clean).mean((3, 4)).square().mean())
    return errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--model", default="pocket-2", help="whose VAE makes the latents")
    add_output(parser, Path(__file__).with_suffix(".json").resolve())
    given = parser.parse_args(arguments)
    with writing_report(parser, given, reads=[given.model]):
        report(given.model, given.steps, given.lr, given.output)


def report(model: str, steps: int, lr: float, output: Path) -> None:
    pipe = open_pipeline(model, motion=None)
    training, held_out = pictures(pipe, range(400)), pictures(pipe, range(HELD_OUT_SEED, HELD_OUT_SEED + 48))
    results: dict[str, dict[str, float]] = {}
    for width in WIDTHS:
        results[str(width)] = learn(width, steps, training, held_out, lr)
        print(width, results[str(width)], flush=True)
        write_findings(output, {"model": model, "steps": steps, "errors": results})


if __name__ == "__main__":
    main()
