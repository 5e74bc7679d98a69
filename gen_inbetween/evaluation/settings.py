"""Settings of an evaluation (validated dataclass), as one YAML file gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gen_inbetween.evaluation.report.settings import ReportSettings
from gen_inbetween.runtime.config import Count

TRUTH = "truth"  # the true clips are scored beside the methods, under this label


class EvaluationError(ValueError):
    """An evaluation that cannot start, or in strict mode cannot go on; the message says what to change."""


@dataclass(frozen=True)
class EvalRun:
    """methods x pairs x seeds x metrics -> one folder.

    A method is one of these, under a label that the tables show:
        {method: gi, motion: default, num_inference_steps: 25, ...}: any sampler of the library with its options.
            motion: "default" (the model's own), a file, or "untuned": the rotated attention map with no update at all.
            fps and motion_bucket_id are the pair's own unless they are given here.
        {method: interpolate, interpolator: NAME or FILE, iters: 1}: no diffusion model; one clip a pair, all seeds.
        {method: auto, interpolator: ..., ...}: that for tiny motion, else gi or trf with the options given.
        {baseline: crossfade}: a name of `methods.BASELINES`.
        {folder: PATH}: made elsewhere, PATH/<pair>/*.png or PATH/<pair>.mp4, as large and as long as asked for here.
    """

    name: str
    pairs: Path  # a list, see `pairs.pair_list`
    output: Path  # folder; what is there already is not made again
    methods: dict[str, dict[str, Any]]
    metrics: tuple[str, ...]  # names of `metrics.METRICS`
    root: Path | None = None  # folder that the paths of the list start from
    skip: Annotated[int, Field(ge=0)] = 0  # pairs of the list that are passed over: an earlier stretch's
    limit: Count | None = None  # only so many pairs of the list, after those
    model: str = "auto"  # for every method that samples; as in `settings.Settings`
    width: Count | None = None  # pixels to which true clips and keyframes are fitted; None: the model's own
    height: Count | None = None
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    reference: str | None = None  # the label that the report compares the others with
    strict: bool = False  # stop at the first clip that fails, instead of naming it and going on
    dtype: Literal["float32", "float16", "bfloat16"] | None = None  # None: float16 on a GPU, float32 on a CPU
    report: ReportSettings = field(default_factory=ReportSettings)


def inputs_of(run: EvalRun) -> list[Path]:
    """What a run reads, which nothing it writes may replace."""
    folders = [Path(str(entry["folder"])) for entry in run.methods.values() if "folder" in entry]
    return [run.pairs, *folders, *([] if run.report.reading is None else [run.report.reading])]
