"""What the bundled `pocket` model can do, measured on held-out synthetic clips against the generator's truth.

    python eval/pocket_report.py                       # writes eval/pocket_report.md and eval/pocket_report.png
    python eval/pocket_report.py --clips 16 --output /tmp/quick.md --model outputs/pocket/pipeline

Needs the `eval` and `train` extras (scipy; the photographs of scikit-image are half of the backgrounds).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_dilation
from scipy.stats import bootstrap
from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED, SyntheticClip, make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.data.tracking import likeness, track
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.media.image import to_pixels, to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.recipe import add_output, labelled, write_page, writing_report

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
    background: tuple[float, float]  # see background_in_time
    true_background: tuple[float, float]
    frames: np.ndarray  # (2, F, S, S, 3): the true clip, the generated one


def background_in_time(frames: np.ndarray, clip: SyntheticClip) -> tuple[float, float]:
    """Flicker and temporal variance of the background, in grey levels of 255 (squared).

    Flicker is the mean absolute second difference in time. Background is where no object's colour ever shows, two
    pixels away from any.
    """
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
    clip = make_clip(HELD_OUT_SEED + index, textures=photographs())
    signal = to_signal(torch.from_numpy(clip.frames))
    decoded = pipe.vae.decode(pipe.vae.encode(signal).latent_dist.mode(), num_frames=len(signal)).sample.clamp(-1, 1)
    error = (to_signal(torch.from_numpy(to_pixels(decoded))) - signal).square().mean()
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
        seed=index,
        psnr=float(10 * torch.log10(4 / error)),
        nose_first=mean_or_nan(nose),
        frozen=bool(mean_or_nan(path) < MOVED),
        bucket=clip.motion_bucket_id,
        speed=mean_or_nan(tracks.speed()),
        true_speed=mean_or_nan(truth.speed()),
        background=background_in_time(frames, clip),
        true_background=background_in_time(clip.frames, clip),
        frames=np.stack([clip.frames, frames]),
    )


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


def measures(rows: list[Row]) -> list[tuple[str, str, str]]:
    """(measure, wanted, found) for the table."""

    def known(values: list[float]) -> np.ndarray:
        array = np.array(values, float)
        return array[~np.isnan(array)]

    noses = known([row.nose_first for row in rows])
    flicker, variance = (known([row.background[k] for row in rows]) for k in range(2))
    true_flicker, true_variance = (known([row.true_background[k] for row in rows]) for k in range(2))
    return [
        ("VAE PSNR, dB, on 8-bit frames", ">= 30", interval(known([row.psnr for row in rows]))),
        (f"clips that go nose-first (N = {len(noses)})", ">= 0.85", interval((noses > NOSE_FIRST) * 1.0)),
        ("clips that go tail-first", "", interval((noses < -NOSE_FIRST) * 1.0)),
        ("clips that stand still", "", interval(known([row.frozen for row in rows]))),
        ("correlation of motion bucket and speed", "> 0.8", correlation(rows, "speed")),
        ("... the same tracker on the true clips", "", correlation(rows, "true_speed")),
        ("background flicker, median", "as the truth", interval(flicker, np.median)),
        ("... in the true clips", "", interval(true_flicker, np.median)),
        ("background temporal variance, median", "as the truth", interval(variance, np.median)),
        ("... in the true clips", "", interval(true_variance, np.median)),
    ]


def write_report(rows: list[Row], path: Path, command: str, steps: int) -> None:
    picture = path.with_suffix(".png")
    lines = [
        "# The bundled `pocket` model, measured",
        "",
        f"Made by `{command}`: {len(rows)} held-out clips (seeds from {HELD_OUT_SEED}, never trained on), method `svd`",
        f"from the first frame alone, {steps} steps, the true clip's fps and motion bucket, sampling seed = clip",
        "number. Means (or what the row says) with 95 % bootstrap intervals over clips.",
        "",
        "| measure | wanted | found |",
        "|---|---|---|",
        *(f"| {name} | {wanted} | {found} |" for name, wanted, found in measures(rows)),
        "",
        f"![true and generated clips]({picture.name})",
        "",
        "Objects are followed by `gen_inbetween/data/tracking.py`, which looks for the generator's own colours.",
        f"Nose-first means that at least {NOSE_FIRST:.0%} of an object's way leads towards its nose; standing still,",
        f"that it moves less than {MOVED} pixels in the whole clip. Background: grey levels of 255 (squared for the",
        "variance); flicker is the mean absolute second difference in time. Panning cameras give true clips theirs.",
    ]
    shown: dict[str, list[Image.Image]] = {}
    for row in rows[:8]:
        for label, clip in zip(("true", "svd"), row.frames, strict=True):
            shown[f"{HELD_OUT_SEED + row.seed}: {label}"] = [Image.fromarray(frame) for frame in clip]
    with labelled(picture) as temporary:
        contact_sheet(shown).save(temporary)
    write_page(path, ["\n".join(lines)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--model", default="pocket")
    add_output(parser, Path(__file__).with_name("pocket_report.md").resolve())
    given = parser.parse_args(arguments)
    with writing_report(parser, given, reads=[given.model], beside=[given.output.with_suffix(".png")]):
        report(given, ["python", "eval/pocket_report.py", *(sys.argv[1:] if arguments is None else arguments)])
    print(given.output.read_text(encoding="utf-8"))


def report(given: argparse.Namespace, command: Sequence[str]) -> None:
    pipe = open_pipeline(given.model)
    pipe.set_progress_bar_config(disable=True)
    rows = [measure(pipe, index, given.steps) for index in tqdm(range(given.clips), desc="clips")]
    write_report(rows, given.output, " ".join(command), given.steps)


if __name__ == "__main__":
    main()
