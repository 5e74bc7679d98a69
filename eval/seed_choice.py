"""How well the faults that can be seen choose the best of several seeds, on the bundled model against the exact truth.

    python eval/seed_choice.py                        # writes eval/seed_choice.json; an hour on a core
    python eval/seed_choice.py --pairs 16 --seeds 4 --out /tmp/quick.json

Held-out synthetic pairs, several seeds each. On half of the pairs the weights of `generation.best_of` are fitted: least
squares, none negative, of the trajectory error on the faults, both without their mean over the seeds of a pair, since
only seeds of one pair are ever compared. On the other half the choice is judged: the error of the kept seed against the
mean over all seeds, and how much that is of what an oracle that knows the truth would gain, with bootstrap intervals
over pairs.
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
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.truth import TrajectoryError
from gen_inbetween.generation.best_of import WEIGHTS, badness
from gen_inbetween.interpolation.faults.faults import find_faults
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
    add_output(parser, Path(__file__).with_suffix(".json").resolve(), "--out")
    given = parser.parse_args(arguments)
    with writing_report(parser, given):
        report = findings(given)
        print(json.dumps(report, indent=2))
        write_findings(given.output, report)
    return report


def findings(given: argparse.Namespace) -> dict[str, Any]:
    """What the report says: the fitted weights, and how well these and the library's choose."""
    faults, errors = measure(given.pairs, given.seeds, given.steps)
    half = given.pairs // 2
    weights = fit(faults[:half], errors[:half])
    return {
        "pairs": given.pairs,
        "seeds": given.seeds,
        "steps": given.steps,
        "fitted": {name: round(float(weight), 4) for name, weight in zip(NAMES, weights, strict=True)},
        "fitted weights, judged on the other half": judge(scores_of(faults[half:], weights), errors[half:]),
        "the library's weights, judged on the other half": judge(
            scores_of(faults[half:], np.array([WEIGHTS[name] for name in NAMES])), errors[half:]
        ),
    }


def measure(pairs: int, seeds: int, steps: int) -> tuple[Array, Array]:
    """(pairs, seeds, faults) and (pairs, seeds): the faults of every clip, NaN for none, and its trajectory error."""
    pipe = open_pipeline("pocket", device="cpu", dtype=torch.float32, shared=False)
    pipe.set_progress_bar_config(disable=True)
    metric = TrajectoryError()
    faults, errors = np.full((pairs, seeds, len(NAMES)), np.nan), np.full((pairs, seeds), np.nan)
    for pair in tqdm(range(pairs)):
        truth = make_clip(HELD_OUT_SEED + pair)
        first, last = truth.frames[0], truth.frames[-1]
        generators = [torch.Generator().manual_seed(1000 * pair + seed) for seed in range(seeds)]
        made = pipe(
            first,
            last,
            method="gi",
            num_inference_steps=steps,
            renoise_steps=0,
            generator=generators,
            output_type="np",
            num_frames=len(truth.frames),
            motion_bucket_id=truth.motion_bucket_id,
        ).frames
        for seed, clip in enumerate((made * 255).round().astype(np.uint8)):
            found = find_faults(clip, (first, last))
            faults[pair, seed] = [found[name] for name in NAMES]
            errors[pair, seed] = metric.score(Sample(clip, truth=truth.frames, synthetic=truth))
    return faults, errors


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


def interval(value: float, draws: Array) -> dict[str, Any]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": round(float(value), 3), "interval": [round(float(low), 3), round(float(high), 3)]}


if __name__ == "__main__":
    main()
