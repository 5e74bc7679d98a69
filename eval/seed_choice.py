"""How well the faults that can be seen choose the best of several seeds, on the bundled model against the exact truth.

    python eval/seed_choice.py --dtype bfloat16       # writes eval/seed_choice.json; half an hour on a core
    python eval/seed_choice.py --pairs 16 --seeds 4 --out quick.json

Held-out synthetic pairs, several seeds each. On half of the pairs the weights of `generation.best_of` are fitted: least
squares, none negative, of the trajectory error on the faults and on how far a clip is from those of the other seeds,
all without their mean over the seeds of a pair, since only seeds of one pair are ever compared. On the other half the
choice is judged: error and PSNR of the kept seed against the mean over all seeds, and how much that is of what an
oracle that knows the truth would gain, with bootstrap intervals over pairs. The denoised estimate halfway is searched
for the same faults: what `stop_hopeless`, which breaks off a seed that is worse halfway than the best one before it
was, saves and costs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.diffusion.decoding.latents import decode_latents
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.fidelity import PsnrInner
from gen_inbetween.evaluation.metrics.truth import TrajectoryError
from gen_inbetween.generation.best_of import APART, WEIGHTS, badness, distances_between, halfway_step
from gen_inbetween.interpolation.faults.faults import find_faults
from gen_inbetween.media.image import to_pixels
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.recipe import add_output, write_findings, writing_report

NAMES = tuple(WEIGHTS)
RESAMPLES = 2000
Array = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=128, help="half of them to fit, half to judge")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--model", default="pocket-2")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    add_output(parser, Path(__file__).with_suffix(".json").resolve(), "--out")
    given = parser.parse_args(arguments)
    with writing_report(parser, given):
        report = findings(given)
        print(json.dumps(report, indent=2))
        write_findings(given.output, report)
    return report


def findings(given: argparse.Namespace) -> dict[str, Any]:
    """The fitted weights, how well these and the library's choose, and what stopping early saves and costs."""
    told = measure(given)
    half = given.pairs // 2
    apart = told.distances.sum(2) / (given.seeds - 1)
    signs = np.concatenate([np.nan_to_num(told.faults), apart[..., None]], 2)
    weights = fit(signs[:half], told.errors[:half])
    rest = Measured(*(values[half:] for values in told))
    ours = np.array([WEIGHTS[name] for name in NAMES])
    by_faults, halfway = scores_of(rest.faults, ours), scores_of(rest.halfway, ours)
    return {
        **{name: getattr(given, name) for name in ("model", "dtype", "pairs", "seeds", "steps")},
        "fitted": {name: round(float(weight), 4) for name, weight in zip((*NAMES, "apart"), weights, strict=True)},
        "fitted weights, judged on the other half": judge(signs[half:] @ weights, rest.errors, rest.psnr),
        "the library's weights, judged on the other half": judge(
            by_faults + APART * apart[half:], rest.errors, rest.psnr
        ),
        "the library's weights without the distance from other seeds": judge(by_faults, rest.errors, rest.psnr),
        "stop_hopeless, the library's weights, the other half": race(by_faults, halfway, rest),
    }


class Measured(NamedTuple):
    """What is known of every clip; NaN for none."""

    faults: Array  # (pairs, seeds, faults)
    halfway: Array  # the same of its denoised estimate halfway
    errors: Array  # of trajectories, pixels, (pairs, seeds)
    psnr: Array  # of the frames between the keyframes, dB, (pairs, seeds)
    distances: Array  # between the clips of a pair, grey levels, (pairs, seeds, seeds)


def measure(given: argparse.Namespace) -> Measured:
    """Every clip made, and measured."""
    pipe = open_pipeline(given.model, device="cpu", dtype=getattr(torch, given.dtype), shared=False)
    pipe.set_progress_bar_config(disable=True)
    trajectory, psnr = TrajectoryError(), PsnrInner()
    shape = given.pairs, given.seeds
    told = Measured(*(np.full((*shape, *more), np.nan) for more in (2 * [(len(NAMES),)] + [(), (), (given.seeds,)])))
    for pair in tqdm(range(given.pairs)):
        truth = make_clip(HELD_OUT_SEED + pair)
        ends = truth.frames[0], truth.frames[-1]
        estimates: list[Array] = []

        def look(_: Any, step: int, __: Any, tensors: dict[str, Any], kept: list[Array] = estimates) -> dict[str, Any]:
            if step == halfway_step(given.steps):
                kept += list(to_pixels(decode_latents(pipe.vae, tensors["denoised"])))
            return {}

        made = pipe(
            *ends,
            method="gi",
            num_inference_steps=given.steps,
            renoise_steps=0,
            generator=[torch.Generator().manual_seed(1000 * pair + seed) for seed in range(given.seeds)],
            output_type="np",
            num_frames=len(truth.frames),
            motion_bucket_id=truth.motion_bucket_id,
            callback_on_step_end=look,
            callback_on_step_end_tensor_inputs=["denoised"],
        ).frames
        clips = (made * 255).round().astype(np.uint8)
        told.distances[pair] = distances_between(clips)
        for seed, clip in enumerate(clips):
            for faults, frames in ((told.faults, clip), (told.halfway, estimates[seed])):
                found = find_faults(frames, ends)
                faults[pair, seed] = [found[name] for name in NAMES]
            sample = Sample(clip, truth=truth.frames, synthetic=truth)
            told.errors[pair, seed], told.psnr[pair, seed] = trajectory.score(sample), psnr.score(sample)
    return told


def fit(signs: Array, errors: Array) -> Array:
    """The weight of each sign, at least 0: errors and signs (pairs, seeds, signs) lose their means over the seeds."""
    known = ~np.isnan(errors)
    centred = centre(signs)[known]
    weights, _ = nnls(centred, centre(np.where(known, errors, np.nan))[known])
    return np.asarray(weights)


def centre(values: Array) -> Array:
    """Without the mean over the seeds, the second axis."""
    return np.asarray(values - np.nanmean(values, axis=1, keepdims=True))


def scores_of(faults: Array, weights: Array) -> Array:
    """(pairs, seeds) badness."""
    table = dict(zip(NAMES, weights, strict=True))
    return np.array([[badness(dict(zip(NAMES, one, strict=True)), table) for one in seeds] for seeds in faults])


def judge(scores: Array, errors: Array, psnr: Array) -> dict[str, Any]:
    """Trajectory error and PSNR of all seeds and of the kept one, and the share of what an oracle would gain."""
    complete = ~np.isnan(errors).any(1)
    scores, errors, psnr = scores[complete], errors[complete], psnr[complete]
    kept = np.arange(len(errors)), scores.argmin(1)
    draws = np.random.default_rng(0).integers(0, len(errors), (RESAMPLES, len(errors)))

    def gained(values: Array) -> dict[str, Any]:
        """Of values where less is better."""
        gain, best = values.mean(1) - values[kept], values.mean(1) - values.min(1)
        shares = gain[draws].mean(1) / best[draws].mean(1)
        means = {"gain": interval(gain.mean(), gain[draws].mean(1)), "oracle's gain": round(float(best.mean()), 3)}
        return means | {"share of the oracle's gain": interval(gain.mean() / best.mean(), shares)}

    return {
        "pairs": len(errors),
        "any seed": round(float(errors.mean()), 3),
        "kept": round(float(errors[kept].mean()), 3),
        **gained(errors),
        "psnr": {"any seed": round(float(psnr.mean()), 3), **gained(-psnr)},
    }


def race(by_faults: Array, halfway: Array, told: Measured) -> dict[str, Any]:
    """What breaking off saves, as a share of all passes, and costs: `judge` of the seeds that ran to their end."""
    finished = np.array([run_race(*pair) for pair in zip(by_faults, halfway, strict=True)])
    others = np.maximum(finished.sum(1, keepdims=True) - 1, 1)
    apart = np.where(finished[:, None], told.distances, 0).sum(2) / others
    scores = np.where(finished, by_faults + APART * apart, np.inf)
    saved = 0.5 * (1 - finished.mean())
    return {"passes saved": round(float(saved), 3), **judge(scores, told.errors, told.psnr)}


def run_race(scores: Array, halfway: Array) -> list[bool]:
    """Which seeds of a pair run to their end: those no worse halfway than the best of the earlier ones was."""
    best, finished = 0, [True]
    for seed in range(1, len(scores)):
        finished.append(bool(halfway[seed] <= halfway[best]))
        if finished[seed] and scores[seed] < scores[best]:
            best = seed
    return finished


def interval(value: float, draws: Array) -> dict[str, Any]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": round(float(value), 3), "interval": [round(float(low), 3), round(float(high), 3)]}


if __name__ == "__main__":
    main()
