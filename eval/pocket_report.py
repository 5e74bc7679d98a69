"""What the bundled `pocket` model can do, measured on held-out synthetic clips against the generator's truth.

    python eval/pocket_report.py                       # writes eval/pocket_report.md and eval/pocket_report.png
    python eval/pocket_report.py --clips 16 --output /tmp/quick.md --model outputs/pocket/pipeline

Needs the `eval` and `train` extras (scipy; the photographs of scikit-image are half of the backgrounds).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_dilation
from scipy.stats import bootstrap
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "train"))
from pretrain_pocket import HELD_OUT_SEED, photos, to_pictures, to_signal

from gen_inbetween.models import open_pipeline
from gen_inbetween.pipeline import InbetweenPipeline
from gen_inbetween.synthetic import SyntheticClip, make_clip
from gen_inbetween.tracking import likeness, track

NOSE_FIRST = 0.5  # an object goes nose-first when at least this share of its way leads towards its nose
MOVED = 1.5  # pixels in the whole clip below which an object counts as frozen


@dataclass
class Row:
    """One held-out clip; NaN where the measure does not apply."""

    seed: int
    psnr: float  # dB, the VAE's reconstruction of the true clip
    nose_first: float  # mean over the objects that have a nose, -1 to 1
    frozen: bool
    bucket: int
    speed: float  # pixels a frame, measured in the generated clip
    true_speed: float  # the same tracker on the true clip
    flicker: float  # mean absolute second difference in time of the background, grey levels of 255
    true_flicker: float
    variance: float  # temporal variance of the background, grey levels squared
    true_variance: float
    frames: np.ndarray


def background_in_time(frames: np.ndarray, clip: SyntheticClip) -> tuple[float, float]:
    """(flicker, temporal variance) of the pixels in which no object's colour ever shows, two pixels away from any."""
    seen = np.zeros(frames.shape[1:3], bool)
    for colour in clip.colours.reshape(-1, 3):
        seen |= np.max([likeness(frame, colour) for frame in frames], axis=0) > 0.15
    rest = ~binary_dilation(seen, iterations=2)
    if rest.sum() < 50:
        return float("nan"), float("nan")
    grey = frames.astype(np.float64).mean(-1)[:, rest]
    return float(np.abs(np.diff(grey, 2, axis=0)).mean()), float(grey.var(0).mean())


@torch.no_grad()
def measure(pipe: InbetweenPipeline, index: int, steps: int) -> Row:
    """Sample forward from the first frame alone (method `svd`) with the true clip's fps and bucket; compare."""
    clip = make_clip(HELD_OUT_SEED + index, textures=photos())
    signal = to_signal(torch.from_numpy(clip.frames))
    decoded = pipe.vae.decode(pipe.vae.encode(signal).latent_dist.mode(), num_frames=len(signal)).sample.clamp(-1, 1)
    error = (to_signal(torch.from_numpy(to_pictures(decoded))) - signal).square().mean()
    first, last = (Image.fromarray(clip.frames[k]) for k in (0, -1))
    frames = pipe(
        first, last, method="svd", num_inference_steps=steps, num_frames=len(clip.frames), fps=clip.fps,
        motion_bucket_id=clip.motion_bucket_id, output_type="pil", generator=torch.Generator().manual_seed(index),
    ).frames[0]  # fmt: skip
    frames = np.stack([np.asarray(frame) for frame in frames])
    tracks, truth = track(frames, clip), track(clip.frames, clip)
    nose = tracks.nose_first()[~np.isnan(clip.headings[0])]
    path = tracks.speed() * (len(frames) - 1)
    return Row(
        index, float(10 * torch.log10(4 / error)), mean_or_nan(nose), bool(mean_or_nan(path) < MOVED),
        clip.motion_bucket_id, mean_or_nan(tracks.speed()), mean_or_nan(truth.speed()),
        *(v for pair in zip(background_in_time(frames, clip), background_in_time(clip.frames, clip), strict=True) for v in pair),
        frames=np.stack([clip.frames, frames]),
    )  # fmt: skip


def mean_or_nan(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def interval(values: np.ndarray, statistic: Callable = np.mean) -> str:
    """`value [low, high]` with a 95 % bootstrap interval over clips (percentile, 2,000 resamples, seed 0)."""
    result = bootstrap((values,), statistic, n_resamples=2000, method="percentile", rng=0).confidence_interval
    return f"{statistic(values):.3f} [{result.low:.3f}, {result.high:.3f}]"


def correlation(rows: list[Row], kind: str) -> str:
    """Pearson correlation of the bucket asked for with the speed found, with its bootstrap interval."""
    known = np.array([(row.bucket, getattr(row, kind)) for row in rows if not np.isnan(getattr(row, kind))])
    result = bootstrap(
        tuple(known.T), lambda a, b: np.corrcoef(a, b)[0, 1], paired=True, vectorized=False, n_resamples=2000,
        method="percentile", rng=0,
    ).confidence_interval  # fmt: skip
    return f"{np.corrcoef(known.T)[0, 1]:.3f} [{result.low:.3f}, {result.high:.3f}]"


def write_report(rows: list[Row], path: Path, command: str, steps: int) -> None:
    def column(name: str) -> np.ndarray:
        values = np.array([getattr(row, name) for row in rows], float)
        return values[~np.isnan(values)]

    noses = np.array([row.nose_first for row in rows if not np.isnan(row.nose_first)])
    table = [
        ("VAE PSNR, dB (8-bit frames)", ">= 30", interval(column("psnr"))),
        (f"clips whose objects go nose-first (N = {len(noses)})", ">= 0.85", interval((noses > NOSE_FIRST).astype(float))),
        ("clips whose objects go tail-first", "", interval((noses < -NOSE_FIRST).astype(float))),
        ("clips that stand still", "", interval(column("frozen"))),
        ("correlation of motion bucket and measured speed", "> 0.8", correlation(rows, "speed")),
        ("... the same tracker on the true clips", "", correlation(rows, "true_speed")),
        ("background flicker, median, grey levels", "near the truth's", interval(column("flicker"), np.median)),
        ("... in the true clips", "", interval(column("true_flicker"), np.median)),
        ("background temporal variance, median, grey levels squared", "near the truth's", interval(column("variance"), np.median)),
        ("... in the true clips", "", interval(column("true_variance"), np.median)),
    ]  # fmt: skip
    lines = [
        "# The bundled `pocket` model, measured",
        "",
        f"Made by `{command}`: {len(rows)} held-out clips (seeds from {HELD_OUT_SEED}, never trained on), method `svd` from the",
        f"first frame alone, {steps} steps, the true clip's fps and motion bucket, sampling seed = clip number. Means (or what",
        "the row says) with 95 % bootstrap intervals over clips.",
        "",
        "| measure | wanted | found |",
        "|---|---|---|",
        *(f"| {name} | {wanted} | {found} |" for name, wanted, found in table),
        "",
        f"![true clip above, generated clip below, every second frame]({path.with_suffix('.png').name})",
        "",
        "Objects are followed by `gen_inbetween/tracking.py`, which looks for the generator's own colours;",
        f"nose-first means that at least {NOSE_FIRST:.0%} of an object's way leads towards its nose, standing still that it",
        f"moves less than {MOVED} pixels in the whole clip. Flicker is the mean absolute second difference in time.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    picture = np.concatenate([np.concatenate([np.concatenate(list(f[::2]), 1) for f in row.frames]) for row in rows[:8]])
    Image.fromarray(picture).resize((picture.shape[1] * 2, picture.shape[0] * 2), 0).save(path.with_suffix(".png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("pocket_report.md"))
    arguments = parser.parse_args()
    pipe = open_pipeline(arguments.model)
    pipe.set_progress_bar_config(disable=True)
    rows = [measure(pipe, index, arguments.steps) for index in tqdm(range(arguments.clips), desc="clips")]
    write_report(rows, arguments.output, " ".join(["python", "eval/pocket_report.py", *sys.argv[1:]]), arguments.steps)
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
