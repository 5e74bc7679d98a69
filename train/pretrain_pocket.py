"""Train a small SVD from nothing: first its VAE, then its UNet and image encoder, all on synthetic clips.

    python train/pretrain_pocket.py configs/train/pocket_vae.yaml
    python train/pretrain_pocket.py configs/train/pocket_unet.yaml [key=value ...]

The second can start as soon as the first has written `<output>/codes.safetensors` and its first sheet. Both resume
from their last checkpoint when started again; what happens in step n depends on (seed, n) alone, so a run that was
killed ends with the weights of a run that was not. `<output>/pipeline` is the model, a diffusers folder with the
averaged weights: the beginning of the bundled `pocket-2`, whose card says how it went on.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock
from patch_codes import PatchCodes
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.diffusion.edm import denoise, edm_loss, sample_sigma
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.media.image import to_pixels, to_signal
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.files import replace_folder, replaced, save_image
from gen_inbetween.runtime.recipe import claim_run, one_line_errors, training_alone
from gen_inbetween.training.settings import deciding_settings
from gen_inbetween.training.state import restore_parts, save_parts

FREE = ("output", "data.folder", "optimiser.steps", "checkpoint_every", "sheet_every")  # that may change on resuming


@dataclass(frozen=True)
class Data:
    clips: int = 9000
    num_frames: int = 14
    size: int = 64
    folder: Path = Path("outputs/pocket/clips")


@dataclass(frozen=True)
class Optimiser:
    steps: int
    lr: float = 1e-3
    warmup: int = 100
    ema: float = 0.998
    clip_norm: float = 1.0


@dataclass(frozen=True)
class Phase:
    """From step `start` on: `batch` clips of `num_frames` consecutive frames; for the VAE, cropped to `crop` pixels."""

    start: int
    batch: int
    num_frames: int
    crop: int = 64


@dataclass(frozen=True)
class Run:
    stage: Literal["vae", "unet"]
    output: Path
    optimiser: Optimiser
    phases: tuple[Phase, ...]
    model: dict[str, Any]
    image_encoder: dict[str, Any] | None = None
    data: Data = Data()
    seed: int = 0
    checkpoint_every: int = 200
    sheet_every: int = 500
    latent_noise: float = 0.05  # VAE: standard deviation of the posterior, which the decoder learns to bear
    sigma_mean: float = 0.7  # log-normal noise levels of SVD's training, arXiv 2311.15127 and methods of GI
    sigma_std: float = 1.6
    dropout: float = 0.1  # share of steps without conditioning, for classifier-free guidance


# -- data --------------------------------------------------------------------------------------------------------------


def draw(seed: int, num_frames: int, size: int) -> tuple[np.ndarray, int, int]:
    clip = make_clip(seed, num_frames=num_frames, size=size, textures=photographs())
    return clip.frames, clip.fps, clip.motion_bucket_id


def clip_bank(data: Data) -> dict[str, Tensor]:
    """All training clips, drawn once, then kept on disk: frames (N, F, S, S, 3) uint8, fps (N,), bucket (N,)."""
    path = data.folder / f"{data.clips}x{data.num_frames}x{data.size}.safetensors"
    if not path.exists():
        jobs = [range(data.clips), *([value] * data.clips for value in (data.num_frames, data.size))]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            drawn = list(tqdm(pool.map(draw, *jobs, chunksize=32), total=data.clips, desc="drawing clips"))
        frames, fps, buckets = zip(*drawn, strict=True)
        bank = {"frames": torch.from_numpy(np.stack(frames)), "fps": torch.tensor(fps), "bucket": torch.tensor(buckets)}
        with replaced(path) as temporary:
            save_file(bank, temporary)
    return load_file(path)


# -- the loop both stages share ----------------------------------------------------------------------------------------


def train(
    run: Run,
    model: nn.ModuleDict,
    loss_of: Callable[[Phase, torch.Generator], Tensor],
    look: Callable[[nn.Module, str], None],
) -> nn.Module:
    """Adam with warm-up and cosine decay to zero; returns the averaged model. `look(model, name)` writes sheets."""
    recipe = run.optimiser
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda n: min((n + 1) / recipe.warmup, 0.5 * (1 + math.cos(math.pi * min(n / recipe.steps, 1.0)))),
    )
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    parts: dict[str, Any] = {"model": model, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}
    checkpoint = run.output / f"{run.stage}.checkpoint.pt"
    settings = deciding_settings(run, FREE)
    start = restore_parts(checkpoint, parts, settings).get("step", 0)
    losses: list[float] = []
    bar = tqdm(range(start, recipe.steps), initial=start, total=recipe.steps, desc=run.stage)
    for step in bar:
        generator = torch.Generator().manual_seed(run.seed * 1_000_003 + step)
        phase = [phase for phase in run.phases if phase.start <= step][-1]
        loss = loss_of(phase, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(model)
        losses = [*losses[-199:], loss.item()]
        bar.set_postfix(loss=f"{np.mean(losses):.4f}")
        done = step + 1
        if done % run.sheet_every == 0 or done == recipe.steps:
            look(averaged.module, f"{run.stage}_{done:06d}")
        if done % run.checkpoint_every == 0 or done == recipe.steps:  # last: who goes on from it has all of the above
            save_parts(checkpoint, parts, settings, step=done)
            tqdm.write(f"{run.stage} step {done}: loss {np.mean(losses):.5f}")
    return averaged.module


def write_sheet(rows: dict[str, np.ndarray], path: Path) -> None:
    """A labelled row for each clip (F, H, W, 3) uint8."""
    sheet = contact_sheet({label: [Image.fromarray(frame) for frame in clip] for label, clip in rows.items()})
    save_image(path, sheet)


# -- stage 1: the VAE --------------------------------------------------------------------------------------------------


def train_vae(run: Run) -> None:
    """The encoder is written down (PatchCodes), the decoder learns: squared and absolute error, and that of edges.

    Trained together from nothing the pair finds one latent channel after another, for hours; and the second stage can
    start while the decoder still trains.
    """
    bank = clip_bank(run.data)
    vae = AutoencoderKLTemporalDecoder(**run.model)
    some = bank["frames"][:: max(1, run.data.clips // 450), ::5].flatten(0, 1)
    codes = PatchCodes.fit(to_signal(some), vae.config.latent_channels)
    codes.write_into(vae, run.latent_noise)
    codes.save(run.output / "codes.safetensors")
    vae.encoder.requires_grad_(False)
    vae.register_to_config(scaling_factor=1.0)  # the codes have mean square one, as SVD's latents after scaling
    for module in vae.decoder.modules():  # residual branches start silent: training starts from the plain path
        if isinstance(module, (ResnetBlock2D, TemporalResnetBlock)):
            nn.init.zeros_(module.conv2.weight)
    nn.init.dirac_(vae.decoder.time_conv_out.weight)  # frames do not mix until it helps
    model = nn.ModuleDict({"decoder": vae.decoder})

    def batch(phase: Phase, generator: torch.Generator) -> Tensor:
        clips, frames, size = run.data.clips, run.data.num_frames, run.data.size
        index = torch.randint(clips, (phase.batch,), generator=generator).tolist()
        corner = torch.rand(phase.batch, 3, generator=generator)
        limits = torch.tensor([frames - phase.num_frames + 1, size - phase.crop + 1, size - phase.crop + 1])
        windows = (corner * limits).int().tolist()
        return to_signal(
            torch.stack(
                [
                    bank["frames"][i, f : f + phase.num_frames, y : y + phase.crop, x : x + phase.crop]
                    for i, (f, y, x) in zip(index, windows, strict=True)
                ]
            )
        )

    def loss_of(phase: Phase, generator: torch.Generator) -> Tensor:
        pictures = batch(phase, generator).flatten(0, 1)
        latents = codes(pictures)
        latents += run.latent_noise * torch.randn(latents.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast where the processor multiplies bfloat16
            decoded = vae.decode(latents, num_frames=phase.num_frames).sample
        error = decoded.float() - pictures
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        return error.square().mean() + error.abs().mean() + edges

    held_out = [torch.from_numpy(draw(HELD_OUT_SEED + k, run.data.num_frames, run.data.size)[0]) for k in range(8)]

    def look(model: nn.Module, name: str) -> None:
        averaged = copy.deepcopy(vae).eval()
        averaged.decoder = model["decoder"]
        rows, errors = {}, []
        for k, frames in enumerate(held_out):
            with torch.no_grad():
                latents = averaged.encode(to_signal(frames)).latent_dist.mode()
                decoded = averaged.decode(latents, num_frames=len(frames)).sample.clamp(-1, 1)
            errors.append((decoded - to_signal(frames)).square().mean())
            rows |= {f"{k}: true": frames.numpy(), f"{k}: decoded": to_pixels(decoded)}
        write_sheet(rows, run.output / "sheets" / f"{name}.png")
        averaged.save_pretrained(run.output / "vae")
        tqdm.write(f"{name}: held-out PSNR {float(10 * torch.log10(4 / torch.stack(errors)).mean()):.2f} dB")

    train(run, model, loss_of, look)


# -- stage 2: the UNet and the image encoder ---------------------------------------------------------------------------


def train_unet(run: Run) -> None:
    """SVD's own recipe: EDM loss on v-prediction, noise-augmented first frame, joint conditioning dropout."""
    bank = clip_bank(run.data)
    codes = PatchCodes.load(run.output / "codes.safetensors")
    clips = bank["frames"].split(32)
    latents = torch.cat([codes(to_signal(part).flatten(0, 1)).half().unflatten(0, part.shape[:2]) for part in clips])
    torch.manual_seed(run.seed)
    unet = UNetSpatioTemporalConditionModel(**run.model)
    nn.init.zeros_(unet.conv_out.weight)
    encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**(run.image_encoder or {})))
    processor = CLIPImageProcessor()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))
    model = nn.ModuleDict({"unet": unet, "image_encoder": encoder})

    def loss_of(phase: Phase, generator: torch.Generator) -> Tensor:
        index = torch.randint(run.data.clips, (phase.batch,), generator=generator)
        first = int(torch.randint(run.data.num_frames - phase.num_frames + 1, (1,), generator=generator))
        clip = latents[index, first : first + phase.num_frames].float()
        keyframe = to_signal(bank["frames"][index, first])

        augmentation = torch.exp(0.5 * torch.randn(phase.batch, generator=generator) - 3)
        noisy_keyframe = keyframe + augmentation.view(-1, 1, 1, 1) * torch.randn(keyframe.shape, generator=generator)
        keep = (torch.rand(phase.batch, generator=generator) >= run.dropout).float()
        picture = nn.functional.interpolate(keyframe, (224, 224), mode="bicubic", align_corners=True)  # as the pipeline
        embeds = encoder((picture / 2 + 0.5 - mean) / std).image_embeds[:, None] * keep.view(-1, 1, 1)
        # SVD is told fps - 1 (diffusers' pipeline does the subtraction at sampling).
        time_ids = torch.stack([bank["fps"][index] - 1.0, bank["bucket"][index].float(), augmentation], 1)

        sigma = sample_sigma((phase.batch,), generator, run.sigma_mean, run.sigma_std)
        noisy = clip + sigma.view(-1, 1, 1, 1, 1) * torch.randn(clip.shape, generator=generator)
        image_latents = codes(noisy_keyframe)[:, None] * keep.view(-1, 1, 1, 1, 1)
        denoised = denoise(
            unet, noisy, sigma, image_latents=image_latents, image_embeds=embeds, added_time_ids=time_ids
        )
        return edm_loss(denoised, clip, sigma)

    def look(model: nn.Module, name: str) -> None:
        vae = AutoencoderKLTemporalDecoder.from_pretrained(run.output / "vae").eval()
        pipe = assemble(model, vae, processor)
        pipe.set_progress_bar_config(disable=True)
        rows = {}
        for k in range(6):
            frames, fps, bucket = draw(HELD_OUT_SEED + k, run.data.num_frames, run.data.size)
            clip = pipe(
                Image.fromarray(frames[0]), height=run.data.size, width=run.data.size, num_frames=len(frames), fps=fps,
                motion_bucket_id=bucket, num_inference_steps=20, output_type="np",
                generator=torch.Generator().manual_seed(k),
            ).frames[0]  # fmt: skip
            rows |= {f"{k}: true": frames, f"{k}: sampled": (np.asarray(clip) * 255).round().astype(np.uint8)}
        write_sheet(rows, run.output / "sheets" / f"{name}.png")
        save_pipeline(pipe, run.output / "pipeline")

    train(run, model, loss_of, look)


def assemble(model: nn.Module, vae: nn.Module, processor: CLIPImageProcessor) -> StableVideoDiffusionPipeline:
    scheduler = EulerDiscreteScheduler(  # the settings of SVD's own scheduler
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        interpolation_type="linear", use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0,
        timestep_spacing="leading", timestep_type="continuous", steps_offset=1,
    )  # fmt: skip
    encoder, unet = (model[name].eval() for name in ("image_encoder", "unet"))
    return StableVideoDiffusionPipeline(vae, encoder, unet, scheduler, processor)


def save_pipeline(pipe: StableVideoDiffusionPipeline, folder: Path) -> None:
    """In half precision, written beside the old folder and then swapped in."""
    with replaced(folder, replace_folder) as temporary:
        pipe.save_pretrained(temporary)
        for file in temporary.rglob("*.safetensors"):
            save_file({k: v.half().contiguous() for k, v in load_file(file).items()}, file, metadata={"format": "pt"})


STAGES = {
    "vae": (train_vae, ["codes.safetensors", "sheets", "vae"]),
    "unet": (train_unet, ["sheets", "pipeline"]),
}  # each with what it writes beside its checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    with one_line_errors(parser):
        run = load(Run, arguments.config, arguments.overrides)
        torch.manual_seed(run.seed)
        stage, written = STAGES[run.stage]
        with training_alone(run.output):
            claim_run(run.output, [f"{name}.checkpoint.pt" for name in STAGES], written)
            stage(run)


if __name__ == "__main__":
    main()
