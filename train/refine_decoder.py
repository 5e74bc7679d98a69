"""Continued training of the bundled VAE's decoder: sharper, and steady under noise in its latents.

    python train/refine_decoder.py configs/train/pocket_decoder.yaml [key=value ...]

The encoder stays, so latents and everything that was learned on them stay. Latents get noise of their own in each
frame, as a denoiser leaves it, and the decoded clip must change in time as the true one does: the decoder's temporal
layers learn to take flicker away. Resumes from `<output>/decoder.checkpoint.pt`; step n depends on (seed, n) alone.
`<output>/vae` holds the averaged weights.
"""

from __future__ import annotations

import argparse
import copy
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clip_banks import Bank, draw, open_banks
from grow_pocket import LinearEncoder
from muon import Muon
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.evaluation.metrics.fidelity import gradient_energy
from gen_inbetween.media.image import to_pixels, to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.files import replace_folder, replaced
from gen_inbetween.runtime.recipe import claim_run, one_line_errors, training_alone
from gen_inbetween.training.settings import deciding_settings
from gen_inbetween.training.state import restore_parts, save_parts

FREE = ("output", "clips_folder", "steps", "decay", "checkpoint_every")  # settings that may change on resuming


@dataclass(frozen=True)
class Run:
    output: Path
    banks: tuple[Bank, ...]
    clips_folder: Path
    base: str = "pocket-2"
    bank_frames: int = 14
    num_frames: int = 6
    sizes: tuple[int, ...] = (64,)  # sides of the clips, which are drawn at each of them; taken in turn, one a step
    steps: int = 2000
    decay: int = 300
    warmup: int = 30
    lr: float = 5e-4
    batch: int = 2
    ema: float = 0.99
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_every: int = 50
    latent_noise: float = 0.12  # its largest standard deviation, drawn evenly from 0 for each clip
    bfloat16: bool = False


def decoder_loss(decoded: Tensor, true: Tensor) -> Tensor:
    """Squared and absolute error, of pixels, of edges, and of what changes from frame to frame (batch, F, 3, H, W)."""
    error = decoded - true
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.square().mean() + error.abs().mean() + edges + error.diff(dim=1).abs().mean()


class Trainer:
    """The state of a run: decoder, optimiser, averaged weights."""

    def __init__(self, run: Run) -> None:
        self.run = run
        pipe = open_pipeline(run.base, motion=None, shared=False)
        self.vae = pipe.vae
        self.banks = {
            size: open_banks(run.banks, run.bank_frames, size, run.clips_folder)["frames"] for size in set(run.sizes)
        }
        frames = self.banks[run.sizes[0]]
        some = frames[:: max(1, len(frames) // 100), :: run.bank_frames - 1]
        self.encode = LinearEncoder(pipe, some.flatten(0, 1))
        self.vae.requires_grad_(False)
        self.vae.decoder.requires_grad_(True)
        self.optimiser = Muon(self.vae.decoder.parameters(), run.lr, bfloat16=run.bfloat16)
        self.averaged = AveragedModel(self.vae.decoder, multi_avg_fn=get_ema_multi_avg_fn(run.ema))
        self.parts: dict[str, Any] = {
            "decoder": self.vae.decoder, "optimiser": self.optimiser, "averaged": self.averaged,
        }  # fmt: skip
        self.checkpoint = run.output / "decoder.checkpoint.pt"
        self.settings = deciding_settings(run, FREE)
        self.done: int = restore_parts(self.checkpoint, self.parts, self.settings).get("step", 0)

    def save(self) -> None:
        save_parts(self.checkpoint, self.parts, self.settings, step=self.done)

    def step(self) -> float:
        run = self.run
        rate = run.lr * min((self.done + 1) / run.warmup, 1.0, (run.steps - self.done) / max(run.decay, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        generator = torch.Generator().manual_seed(run.seed * 1_000_003 + self.done)
        bank = self.banks[run.sizes[self.done % len(run.sizes)]]
        index = torch.randint(len(bank), (run.batch,), generator=generator)
        first = int(torch.randint(run.bank_frames - run.num_frames + 1, (1,), generator=generator))
        true = to_signal(bank[index, first : first + run.num_frames])
        if torch.rand((), generator=generator) < 0.5:
            true = true.flip(-1)
        latents = self.encode(true.flatten(0, 1)).unflatten(0, true.shape[:2])
        noise = run.latent_noise * torch.rand(run.batch, 1, 1, 1, 1, generator=generator)
        latents = latents + noise * torch.randn(latents.shape, generator=generator)
        latents = latents.flatten(0, 1) / self.vae.config.scaling_factor
        with torch.autocast("cpu", torch.bfloat16, enabled=run.bfloat16), sdpa_kernel(SDPBackend.MATH):
            decoded = self.vae.decode(latents, num_frames=run.num_frames).sample
        loss = decoder_loss(decoded.float().unflatten(0, true.shape[:2]), true)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.vae.decoder.parameters(), run.clip_norm)
        self.optimiser.step()
        self.averaged.update_parameters(self.vae.decoder)
        self.done += 1
        return float(loss.detach())

    def averaged_vae(self) -> Any:
        vae = copy.deepcopy(self.vae).eval()
        vae.decoder = self.averaged.module
        return vae


@torch.no_grad()
def held_out_scores(vae: Any, run: Run, clips: int) -> str:
    """PSNR, sharpness and error of the change in time of the round trip, on held-out clips of each size and world."""
    lines = []
    for size, world in itertools.product(sorted(set(run.sizes)), ("plain", "rich")):
        psnr, sharpness, unsteady = [], [], []
        for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + clips):
            clip = draw(world, seed, run.bank_frames, size)
            latents = vae.encode(to_signal(torch.from_numpy(clip.frames))).latent_dist.mode()
            frames = to_pixels(vae.decode(latents, num_frames=len(latents)).sample.clamp(-1, 1))
            frames = np.asarray(frames)
            error = frames.astype(float) - clip.frames
            psnr.append(10 * np.log10(255**2 / np.square(error).mean()))
            sharpness.append(gradient_energy(frames) / gradient_energy(clip.frames))
            unsteady.append(np.abs(np.diff(error, 2, axis=0)).mean())
        quality = f"{np.mean(psnr):.2f} dB, {np.mean(sharpness):.3f} sharp, {np.mean(unsteady):.3f} unsteady"
        lines.append(f"{world}, {size} px: {quality}")
    return "; ".join(lines)


def save_vae(vae: Any, folder: Path) -> None:
    """In half precision, in diffusers' layout."""
    with replaced(folder, replace_folder) as temporary:
        vae.save_pretrained(temporary)
        for file in temporary.rglob("*.safetensors"):
            save_file({k: v.half().contiguous() for k, v in load_file(file).items()}, file, metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    with one_line_errors(parser):
        run = load(Run, arguments.config, arguments.overrides)
        with training_alone(run.output):
            claim_run(run.output, ["decoder.checkpoint.pt"], ["vae"])
            train(Trainer(run))


def train(trainer: Trainer) -> None:
    """The loop, from where the last checkpoint was written; the averaged weights, and how good they are."""
    run = trainer.run
    recent: list[float] = []
    while trainer.done < run.steps:
        recent = [*recent[-99:], trainer.step()]
        if trainer.done % 20 == 0:
            print(f"step {trainer.done}: loss {np.mean(recent):.4f}", flush=True)
        if trainer.done % run.checkpoint_every == 0 or trainer.done == run.steps:
            trainer.save()
    save_vae(trainer.averaged_vae(), run.output / "vae")
    print(held_out_scores(trainer.averaged_vae(), run, 16))


if __name__ == "__main__":
    main()
