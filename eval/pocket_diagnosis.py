"""Blur and flicker of the bundled model, traced to their source.

    python eval/pocket_diagnosis.py                        # writes eval/pocket_diagnosis.json and .png
    python eval/pocket_diagnosis.py --model outputs/pocket/pipeline --clips 8 --output /tmp/quick.json

Four measurements on held-out clips whose camera stands still, so that every change of the background is an error:
the VAE's round trip; the denoised clip from one UNet pass at each noise level; the same error split into its mean over
the frame and the rest; whole samples at several step counts and guidances. Needs the `train` and `eval` extras.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from pocket_scores import background_of, mean_with_interval

from gen_inbetween.data.synthetic import HELD_OUT_SEED, SyntheticClip, make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.diffusion.conditioning import encode_keyframes, encode_latents
from gen_inbetween.diffusion.edm import denoise
from gen_inbetween.evaluation.metrics.fidelity import gradient_energy
from gen_inbetween.media.image import to_pixels, to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.recipe import add_output, labelled, write_findings, writing_report

SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 700.0)
SAMPLES: dict[str, dict[str, Any]] = {
    "6 steps": {"num_inference_steps": 6},
    "25 steps": {"num_inference_steps": 25},
    "50 steps": {"num_inference_steps": 50},
    "25 steps, no guidance": {"num_inference_steps": 25, "min_guidance_scale": 1.0, "max_guidance_scale": 1.0},
}
STILL_VARIANCE = 1e-3  # of latents whose mean square is one
STILL = 0.01  # grey levels of flicker below which the camera of a true clip stands still


def still_clips(count: int) -> list[SyntheticClip]:
    """The first `count` held-out clips whose true background does not move at all."""
    clips: list[SyntheticClip] = []
    seed = HELD_OUT_SEED
    while len(clips) < count:
        clip = make_clip(seed, textures=photographs())
        rest = background_of(clip)
        grey = clip.frames.astype(np.float64).mean(-1)[:, rest]
        if rest.sum() >= 50 and np.abs(np.diff(grey, 2, axis=0)).mean() < STILL:
            clips.append(clip)
        seed += 1
    return clips


def picture_scores(frames: np.ndarray, clip: SyntheticClip) -> dict[str, float]:
    """Sharpness (gradient energy over the truth's), PSNR in dB and background flicker in grey levels of 255."""
    error = np.square(frames.astype(np.float64) - clip.frames).mean()
    grey = frames.astype(np.float64).mean(-1)[:, background_of(clip)]
    return {
        "sharpness": gradient_energy(frames[1:-1]) / gradient_energy(clip.frames[1:-1]),
        "psnr": float(10 * np.log10(255**2 / max(error, 1 / 12))),
        "flicker": float(np.abs(np.diff(grey, 2, axis=0)).mean()),
    }


def error_shares(error: Tensor, still: Tensor) -> dict[str, float]:
    """A denoised clip's squared error (F, C, H, W), per value: all of it, its mean over each frame's channel, the
    strongest three channels, its part that changes from frame to frame (half the squared first difference), and where
    `still` (H, W) says that the true latents never change: there the first frame tells all."""
    return {
        "error": float(error.square().mean()),
        "error_of_frame_means": float(error.mean((2, 3)).square().mean()),
        "error_of_strong_channels": float(error[:, :3].square().mean()) * 3 / error.shape[1],
        "error_changing_in_time": float(error.diff(dim=0).square().mean() / 2),
        "error_of_still_latents": float(error.square().mean(1)[:, still].mean()),
    }


@torch.no_grad()
def diagnose(pipe: Any, clips: list[SyntheticClip], decode: Callable[[Tensor], np.ndarray]) -> dict[str, Any]:
    """Scores of every clip under each condition: {condition: [scores of a clip, ...]}."""
    rows: dict[str, list[dict[str, float]]] = {}

    def add(condition: str, scores: dict[str, float]) -> None:
        rows.setdefault(condition, []).append(scores)

    for number, clip in enumerate(tqdm(clips, desc="clips")):
        signal = to_signal(torch.from_numpy(clip.frames))
        clean = encode_latents(pipe, signal) * pipe.vae.config.scaling_factor
        still = clean.var(0).mean(0) < STILL_VARIANCE
        add("true clip", picture_scores(clip.frames, clip))
        add("VAE round trip", picture_scores(decode(clean), clip))
        generator = torch.Generator().manual_seed(number)
        conditioning = encode_keyframes(
            pipe, signal[:1], signal[-1:], num_frames=len(signal), fps=clip.fps,
            motion_bucket_id=clip.motion_bucket_id, generator=generator,
        ).select([0], [1]).batch()  # fmt: skip
        for sigma in SIGMAS:
            level = torch.tensor(sigma)
            noisy = clean[None] + level * torch.randn(clean[None].shape, generator=generator)
            denoised = denoise(pipe.unet, noisy, level, **conditioning)[0]
            frozen = clean[:1].expand_as(clean)  # what copying the first frame would give
            scores = error_shares(denoised - clean, still) | picture_scores(decode(denoised), clip)
            scores["error_of_a_copied_first_frame"] = float((frozen - clean).square().mean())
            add(f"sigma {sigma:g}", scores)
        first, last = (Image.fromarray(clip.frames[k]) for k in (0, -1))
        for name, options in SAMPLES.items():
            sampled = pipe(
                first, last, method="svd", num_frames=len(signal), fps=clip.fps, output_type="latent",
                motion_bucket_id=clip.motion_bucket_id, generator=torch.Generator().manual_seed(number), **options,
            ).latents[0]  # fmt: skip
            add(name, picture_scores(decode(sampled), clip))
    return rows


def draw_curves(rows: dict[str, Any], path: Path) -> None:
    """Three panels: error by noise level, its shares, and what the decoded picture shows."""
    levels = [f"sigma {sigma:g}" for sigma in SIGMAS]

    def curve(name: str) -> np.ndarray:
        return np.array([np.mean([scores[name] for scores in rows[level]]) for level in levels])

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.2))
    for name, label in (
        ("error", "all"),
        ("error_of_frame_means", "means over a frame"),
        ("error_of_strong_channels", "three strongest channels"),
        ("error_changing_in_time", "changing in time"),
        ("error_of_still_latents", "where nothing moves"),
        ("error_of_a_copied_first_frame", "the first frame copied"),
    ):
        left.loglog(SIGMAS, curve(name), "o-", label=label)
    left.set(xlabel="sigma", ylabel="squared error of the denoised latents", title="error by noise level")
    left.legend(fontsize=8)
    share = curve("error_of_frame_means") / curve("error")
    middle.semilogx(SIGMAS, share, "o-", label="means over a frame")
    middle.semilogx(SIGMAS, curve("error_changing_in_time") / curve("error"), "o-", label="changing in time")
    middle.axhline(1 / 64, color="grey", linestyle=":", label="means, if errors were white (1/64)")
    middle.set(xlabel="sigma", title="shares of the error", ylim=(0, 1))
    middle.legend(fontsize=8)
    right.semilogx(SIGMAS, curve("sharpness"), "o-", label="sharpness, of the truth")
    right.semilogx(SIGMAS, curve("flicker"), "s-", label="background flicker, grey levels")
    colours = iter(("C2", "C3", "C4", "C5", "C6"))
    for name in ("VAE round trip", *SAMPLES):
        colour = next(colours)
        right.axhline(np.mean([s["sharpness"] for s in rows[name]]), color=colour, linestyle="-", lw=0.8, label=name)
        right.axhline(np.mean([s["flicker"] for s in rows[name]]), color=colour, linestyle="--", lw=0.8)
    right.set(xlabel="sigma", title="decoded (lines: sharpness, dashes: flicker)", ylim=(0, 3))
    right.legend(fontsize=7)
    figure.tight_layout()
    with labelled(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


def print_table(rows: dict[str, Any]) -> None:
    """A Markdown table with 95 % bootstrap intervals over clips."""
    print("| condition | PSNR, dB | sharpness | flicker | error | ... where nothing moves | ... changing in time |")
    print("|---|---|---|---|---|---|---|")
    for condition, scores in rows.items():
        cells = [mean_with_interval([s[k] for s in scores], 2) for k in ("psnr", "sharpness", "flicker")]
        for name in ("error", "error_of_still_latents", "error_changing_in_time"):
            cells.append(f"{np.mean([s[name] for s in scores]):.5f}" if name in scores[0] else "")
        print(f"| {condition} | {' | '.join(cells)} |")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket-2")
    parser.add_argument("--clips", type=int, default=24)
    add_output(parser, Path(__file__).with_suffix(".json").resolve())
    given = parser.parse_args(arguments)
    with writing_report(parser, given, reads=[given.model], beside=[given.output.with_suffix(".png")]):
        report(given.model, given.clips, given.output)


def report(model: str, clips: int, output: Path) -> None:
    pipe = open_pipeline(model)
    pipe.set_progress_bar_config(disable=True)

    def decode(latents: Tensor) -> np.ndarray:
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, num_frames=len(latents)).sample
        return to_pixels(decoded.clamp(-1, 1))

    rows = diagnose(pipe, still_clips(clips), decode)
    write_findings(output, {"clips": clips, "scores": rows})
    draw_curves(rows, output.with_suffix(".png"))
    print_table(rows)


if __name__ == "__main__":
    main()
