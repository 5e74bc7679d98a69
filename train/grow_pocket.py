"""Continued training of the bundled model's widened UNet, on both synthetic worlds.

    python train/grow_pocket.py configs/train/pocket_grown.yaml [key=value ...]

Starts from the weights of `base` (function-preserving, see widening.py), keeps its VAE and image encoder, and resumes
from `<output>/checkpoint.pt` when started again. What happens in step n depends on (seed, n) alone, so a run that was
killed ends with the weights of one that was not. The learning rate is constant after warm-up and falls to zero over the
last `decay` steps: to train on, raise `steps`; a run cut before its decay has lost nothing.
`<output>/pipeline` is the model, a diffusers folder with the averaged weights.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clip_banks import Bank, draw, open_banks
from muon import Muon
from PIL import Image
from pretrain_pocket import save_pipeline, write_sheet
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from widening import widen_top

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.diffusion.conditioning import embed_frames, encode_keyframes, encode_latents
from gen_inbetween.diffusion.edm import denoise, edm_loss, sample_sigma
from gen_inbetween.media.image import to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.recipe import claim_run, one_line_errors, training_alone
from gen_inbetween.training.settings import deciding_settings
from gen_inbetween.training.state import restore_parts, save_parts

PATCH = 8
STILL_VARIANCE = 1e-3  # over time, of latents whose mean square is one
FREE = ("output", "clips_folder", "steps", "decay", "checkpoint_every", "sheet_every", "held_out")  # on resuming
LEVELS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 700.0)


@dataclass(frozen=True)
class Run:
    output: Path
    banks: tuple[Bank, ...]
    clips_folder: Path
    base: str = "pocket-2"
    copies: int = 1
    num_frames: int = 14
    sizes: tuple[int, ...] = (64,)  # sides of the clips, which are drawn at each of them; taken in turn, one a step
    steps: int = 4000
    decay: int = 500
    warmup: int = 50
    lr: float = 5e-4
    batch: int = 8
    ema: float = 0.995
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_every: int = 100
    sheet_every: int = 1000
    held_out: int = 24  # clips of each world whose loss is told with every sheet
    sigma_mean: float = 0.5
    sigma_std: float = 1.6
    dropout: float = 0.1  # share of clips without conditioning, for classifier-free guidance
    steadiness: float = 0.5  # weight of the error's change from frame to frame, which is what flicker is
    bfloat16: bool = False  # mixed precision, for processors that multiply it


class LinearEncoder:
    """The VAE's encoder as the linear map of 8 x 8 patches that it is, recovered from frames (see patch_codes.py).

    ValueError: the encoder is no such map.
    """

    def __init__(self, pipe: Any, frames: Tensor) -> None:
        signal = to_signal(frames)
        with torch.no_grad():
            latents = torch.cat([encode_latents(pipe, part) for part in signal.split(32)])
        latents = latents * pipe.vae.config.scaling_factor
        patches = nn.functional.pad(self.patches(signal).flatten(0, 1).double(), (0, 1), value=1.0)
        wanted = latents.flatten(2).transpose(1, 2).flatten(0, 1).double()
        ridge = 1e-6 * torch.eye(patches.shape[1], dtype=torch.float64)
        solution = torch.linalg.solve(patches.T @ patches + ridge, patches.T @ wanted)
        self.weight, self.bias = solution[:-1].float(), solution[-1].float()
        if float((self(signal) - latents).square().mean()) > 1e-4:
            raise ValueError("expected a VAE whose encoder is a linear map of 8 x 8 patches")

    @staticmethod
    def patches(signal: Tensor) -> Tensor:
        return nn.functional.unfold(signal, PATCH, stride=PATCH).transpose(1, 2)

    def __call__(self, signal: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> scaled latents (N, C, H / 8, W / 8)."""
        codes = self.patches(signal) @ self.weight + self.bias
        return codes.transpose(1, 2).unflatten(2, [side // PATCH for side in signal.shape[-2:]])


def embeddings_name(size: int) -> str:
    return f"embeddings_{size}.safetensors"


@torch.no_grad()
def embeddings(pipe: Any, frames: Tensor, path: Path) -> Tensor:
    """Image embeddings of first frames and of their mirror images, (N, 2, 1, E), kept on disk."""
    if not path.exists() or len(load_file(path)["embeds"]) != len(frames):
        both = [
            torch.cat([embed_frames(pipe, part) for part in side.split(64)])
            for side in (to_signal(frames), to_signal(frames.flip(-2)))
        ]
        with replaced(path) as temporary:
            save_file({"embeds": torch.stack(both, 1)}, temporary)
    return load_file(path)["embeds"]


def steady_loss(denoised: Tensor, clean: Tensor, sigma: Tensor, steadiness: float) -> Tensor:
    """EDM's weighted squared error, plus `steadiness` times that of its change in time; per clip, (batch,).

    Both are least for the mean of what may be, so the model stays the denoiser that SVD is.
    """
    sigma = sigma.view(-1, 1, 1, 1, 1)
    error = (denoised - clean) * ((sigma**2 + 1).sqrt() / sigma)
    change = error.diff(dim=1).square().mean((1, 2, 3, 4)) / 2
    return error.square().mean((1, 2, 3, 4)) + steadiness * change


@torch.no_grad()
def held_out_losses(pipe: Any, unet: nn.Module, world: str, size: int, run: Run) -> tuple[list[float], list[float]]:
    """At each of LEVELS, with conditioning, mean over held-out clips of a world: EDM's weighted loss, and the squared
    error of latents that never change in the true clip."""
    unet.eval()
    rows = []
    for number in range(run.held_out):
        clip = draw(world, HELD_OUT_SEED + number, run.num_frames, size)
        signal = to_signal(torch.from_numpy(clip.frames))
        clean = encode_latents(pipe, signal) * pipe.vae.config.scaling_factor
        generator = torch.Generator().manual_seed(number)
        told = {"fps": clip.fps, "motion_bucket_id": clip.motion_bucket_id, "generator": generator}
        keyframes = encode_keyframes(pipe, signal[:1], signal[-1:], num_frames=len(signal), **told)
        conditioning = keyframes.select([0], [1]).batch()
        row = []
        still = clean.var(0).mean(0) < STILL_VARIANCE
        for level in LEVELS:
            sigma = torch.tensor(level)
            noisy = clean[None] + sigma * torch.randn(clean[None].shape, generator=generator)
            denoised = denoise(unet, noisy, sigma, **conditioning)
            at_rest = (denoised[0] - clean).square().mean(1)[:, still].mean()  # NaN where everything moves
            row.append((float(edm_loss(denoised, clean[None], sigma)), float(at_rest)))
        rows.append(row)
    means = np.nanmean(np.array(rows), axis=0)
    return means[:, 0].tolist(), means[:, 1].tolist()


class Trainer:
    """The state of a run: widened UNet, optimiser, averaged weights."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pipe = open_pipeline(run.base, motion=None, shared=False)
        self.pipe.set_progress_bar_config(disable=True)
        self.banks = {size: self.open_bank(size) for size in set(run.sizes)}  # one that is taken more often: read once
        frames = self.banks[run.sizes[0]]["frames"]
        self.encode = LinearEncoder(
            self.pipe, frames[:: max(1, len(frames) // 100), :: run.num_frames - 1].flatten(0, 1)
        )
        self.unet = widen_top(self.pipe.unet, run.copies, run.seed) if run.copies > 1 else self.pipe.unet
        self.unet.train()
        self.optimiser = Muon(self.unet.parameters(), run.lr, bfloat16=run.bfloat16)
        self.averaged = AveragedModel(self.unet, multi_avg_fn=get_ema_multi_avg_fn(run.ema))
        self.parts: dict[str, Any] = {"unet": self.unet, "optimiser": self.optimiser, "averaged": self.averaged}
        self.checkpoint = run.output / "checkpoint.pt"
        self.settings = deciding_settings(run, FREE)
        state = restore_parts(self.checkpoint, self.parts, self.settings)
        self.done: int = state.get("step", 0)
        self.record: list[list[float]] = state.get("record", [])  # step, sigma, loss, one row a clip

    def open_bank(self, size: int) -> dict[str, Tensor]:
        """The clips of one size, with their first frames' embeddings (N, 2, 1, E) as "embeds"."""
        bank = open_banks(self.run.banks, self.run.num_frames, size, self.run.clips_folder)
        kept = self.run.output / embeddings_name(size)
        return bank | {"embeds": embeddings(self.pipe, bank["frames"][:, 0], kept)}

    def save(self) -> None:
        save_parts(self.checkpoint, self.parts, self.settings, step=self.done, record=self.record)

    def rate(self, step: int) -> float:
        run = self.run
        return run.lr * min((step + 1) / run.warmup, 1.0, (run.steps - step) / max(run.decay, 1))

    def losses(self, step: int) -> tuple[Tensor, Tensor]:
        """(sigma, loss) of each clip of a step's batch."""
        run = self.run
        generator = torch.Generator().manual_seed(run.seed * 1_000_003 + step)
        bank = self.banks[run.sizes[step % len(run.sizes)]]
        index = torch.randint(len(bank["frames"]), (run.batch,), generator=generator)
        mirrored = torch.rand(run.batch, generator=generator) < 0.5
        frames = bank["frames"][index]
        frames = torch.where(mirrored.view(-1, 1, 1, 1, 1), frames.flip(-2), frames)
        signal = to_signal(frames)
        clean = self.encode(signal.flatten(0, 1)).unflatten(0, signal.shape[:2])
        augmentation = torch.exp(0.5 * torch.randn(run.batch, generator=generator) - 3)
        keyframe = signal[:, 0]
        keyframe = keyframe + augmentation.view(-1, 1, 1, 1) * torch.randn(keyframe.shape, generator=generator)
        keep = (torch.rand(run.batch, generator=generator) >= run.dropout).float()
        scaling = self.pipe.vae.config.scaling_factor  # image latents are unscaled
        sigma = sample_sigma((run.batch,), generator, run.sigma_mean, run.sigma_std)
        noisy = clean + sigma.view(-1, 1, 1, 1, 1) * torch.randn(clean.shape, generator=generator)
        # The plain kernel is a quarter faster a step than the fused one: 14 to 64 tokens are nothing to fuse.
        with torch.autocast("cpu", torch.bfloat16, enabled=run.bfloat16), sdpa_kernel(SDPBackend.MATH):
            denoised = denoise(
                self.unet, noisy, sigma,
                image_latents=self.encode(keyframe)[:, None] / scaling * keep.view(-1, 1, 1, 1, 1),
                image_embeds=bank["embeds"][index, mirrored.long()] * keep.view(-1, 1, 1),
                # SVD is told fps - 1 (diffusers' pipeline does the subtraction at sampling).
                added_time_ids=torch.stack([bank["fps"][index] - 1.0, bank["bucket"][index].float(), augmentation], 1),
            )  # fmt: skip
        return sigma, steady_loss(denoised.float(), clean, sigma, run.steadiness)

    def step(self) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.done)
        sigma, losses = self.losses(self.done)
        self.optimiser.zero_grad(set_to_none=True)
        losses.mean().backward()
        nn.utils.clip_grad_norm_(self.unet.parameters(), self.run.clip_norm)
        self.optimiser.step()
        self.averaged.update_parameters(self.unet)
        self.record += [[self.done, *row] for row in zip(sigma.tolist(), losses.tolist(), strict=True)]
        self.done += 1
        return float(losses.mean().detach())

    def tell(self) -> None:
        """The averaged weights' losses on held-out clips."""
        for size, world in itertools.product(sorted(self.banks), ("plain", "rich")):
            losses, at_rest = held_out_losses(self.pipe, self.averaged.module, world, size, self.run)
            print(f"step {self.done}: held out, {world}, {size} px:", *(f"{loss:.4f}" for loss in losses), flush=True)
            print("    where nothing moves:", *(f"{error:.5f}" for error in at_rest), flush=True)

    def look(self) -> None:
        """A sheet of held-out clips of the largest size, true and sampled by the averaged weights; and the pipeline."""
        self.pipe.unet = self.averaged.module.eval()
        rows: dict[str, np.ndarray] = {}
        for world in ("plain", "rich"):
            for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + 4):
                clip = draw(world, seed, self.run.num_frames, max(self.banks))
                first, last = (Image.fromarray(clip.frames[k]) for k in (0, -1))
                sampled = self.pipe(
                    first, last, method="svd", num_frames=len(clip.frames), fps=clip.fps, num_inference_steps=12,
                    motion_bucket_id=clip.motion_bucket_id, generator=torch.Generator().manual_seed(seed),
                ).frames[0]  # fmt: skip
                rows |= {f"{world} {seed}: true": clip.frames, f"{world} {seed}": np.stack(sampled)}
        write_sheet(rows, self.run.output / "sheets" / f"{self.done:06d}.png")
        save_pipeline(self.pipe, self.run.output / "pipeline")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    with one_line_errors(parser):
        run = load(Run, arguments.config, arguments.overrides)
        with training_alone(run.output):
            claim_run(run.output, ["checkpoint.pt"], [*map(embeddings_name, run.sizes), "sheets", "pipeline"])
            train(Trainer(run))


def train(trainer: Trainer) -> None:
    """The loop, from where the last checkpoint was written."""
    run = trainer.run
    if trainer.done == 0:
        trainer.tell()
    started, recent = time.monotonic(), []
    while trainer.done < run.steps:
        recent = [*recent[-99:], trainer.step()]
        if trainer.done % 10 == 0:
            pace = (time.monotonic() - started) / 10
            started = time.monotonic()
            print(f"step {trainer.done}: loss {np.mean(recent):.4f}, {pace:.2f} s a step", flush=True)
        if trainer.done % run.sheet_every == 0 or trainer.done == run.steps:
            trainer.tell()
            trainer.look()
        if trainer.done % run.checkpoint_every == 0 or trainer.done == run.steps:
            trainer.save()  # last: who goes on from it has all of the above


if __name__ == "__main__":
    main()
