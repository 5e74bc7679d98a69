"""How well the faults that can be seen choose the best of several seeds, on the bundled model against the exact truth.

    python eval/seed_choice.py --dtype bfloat16       # writes eval/seed_choice.json; half an hour on a core
    python eval/seed_choice.py --pairs 16 --seeds 4 --out quick.json

Held-out synthetic pairs, several seeds each. On half of the pairs the weights of `generation.best_of` are fitted: least
squares, none negative, of the trajectory error on the faults, both without their mean over the seeds of a pair, since
only seeds of one pair are ever compared. On the other half the choice is judged: the error of the kept seed against the
mean over all seeds, and how much that is of what an oracle that knows the truth would gain, with bootstrap intervals
over pairs. The denoised estimate halfway is searched for the same faults: what `stop_hopeless`, which breaks off a seed
that is worse halfway than the best one before it was, saves and costs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.diffusion.decoding.latents import decode_latents
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.truth import TrajectoryError
from gen_inbetween.generation.best_of import WEIGHTS, badness, halfway_step
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
    faults, halfway, errors = measure(given)
    half = given.pairs // 2
    weights = fit(faults[:half], errors[:half])
    ours = np.array([WEIGHTS[name] for name in NAMES])
    return {
        **{name: getattr(given, name) for name in ("model", "dtype", "pairs", "seeds", "steps")},
        "fitted": {name: round(float(weight), 4) for name, weight in zip(NAMES, weights, strict=True)},
        "fitted weights, judged on the other half": judge(scores_of(faults[half:], weights), errors[half:]),
        "the library's weights, judged on the other half": judge(scores_of(faults[half:], ours), errors[half:]),
        "stop_hopeless, the library's weights, the other half": race(
            scores_of(faults[half:], ours), scores_of(halfway[half:], ours), errors[half:]
        ),
    }


def measure(given: argparse.Namespace) -> tuple[Array, Array, Array]:
    """Faults of every clip and of its denoised estimate halfway, each (pairs, seeds, faults), NaN for none; and the
    trajectory error (pairs, seeds)."""
    pipe = open_pipeline(given.model, device="cpu", dtype=getattr(torch, given.dtype), shared=False)
    pipe.set_progress_bar_config(disable=True)
    metric = TrajectoryError()
    faults = np.full((2, given.pairs, given.seeds, len(NAMES)), np.nan)
    errors = np.full((given.pairs, given.seeds), np.nan)
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
        for seed, clip in enumerate((made * 255).round().astype(np.uint8)):
            for moment, frames in enumerate((clip, estimates[seed])):
                found = find_faults(frames, ends)
                faults[moment, pair, seed] = [found[name] for name in NAMES]
            errors[pair, seed] = metric.score(Sample(clip, truth=truth.frames, synthetic=truth))
    return faults[0], faults[1], errors


def fit(faults: Array, errors: Array) -> Array:
    """The weight of each fault, at least 0: of errors and faults without their means over the seeds of a pair."""
    known = ~np.isnan(errors)
    centred = centre(np.nan_to_num(faults))[known]
    weights, _ = nnls(centred, centre(np.where(known, errors, np.nan))[known])
    return np.asarray(weights)


def centre(values: Array) -> Array:
    """Without the mean over the seeds, the second axis."""
    return np.asarray(values - np.nanmean(values, axis=1, keepdims=True))


def scores_of(faults: Array, weights: Array) -> Array:
    """(pairs, seeds) badness."""
    table = dict(zip(NAMES, weights, strict=True))
    return np.array([[badness(dict(zip(NAMES, one, strict=True)), table) for one in seeds] for seeds in faults])


def judge(scores: Array, errors: Array) -> dict[str, Any]:
    """Mean trajectory error of all seeds, of the kept one and of the oracle's, and the share of the oracle's gain."""
    complete = ~np.isnan(errors).any(1)
    scores, errors = scores[complete], errors[complete]
    rows = np.arange(len(errors))
    anyone, kept, oracle = errors.mean(1), errors[rows, scores.argmin(1)], errors.min(1)
    draws = np.random.default_rng(0).integers(0, len(errors), (RESAMPLES, len(errors)))
    gains, best = (anyone - kept)[draws].mean(1), (anyone - oracle)[draws].mean(1)
    return {
        "pairs": len(errors),
        "any seed": round(float(anyone.mean()), 3),
        "kept": round(float(kept.mean()), 3),
        "oracle": round(float(oracle.mean()), 3),
        "gain": interval((anyone - kept).mean(), gains),
        "share of the oracle's gain": interval((anyone - kept).mean() / (anyone - oracle).mean(), gains / best),
    }


def race(scores: Array, halfway: Array, errors: Array) -> dict[str, Any]:
    """What breaking off saves, as a share of all passes, and costs: `judge` of the seeds that ran to their end."""
    finished = np.array([run_race(*pair) for pair in zip(scores, halfway, strict=True)])
    saved = 0.5 * (1 - finished.mean())
    return {"passes saved": round(float(saved), 3), **judge(np.where(finished, scores, np.inf), errors)}


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
