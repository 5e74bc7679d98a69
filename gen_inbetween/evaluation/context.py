"""Evaluation context: pairs, methods, metrics and processes, opened and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.evaluation.clip_store import EvalClip
from gen_inbetween.evaluation.methods import (
    Method,
    TrueClips,
    check_label,
    open_baseline,
    open_folder,
    open_interpolate,
)
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric
from gen_inbetween.evaluation.metrics.set_metric import SetMetric
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import PairList, read_list
from gen_inbetween.evaluation.pairs.truth import Truths
from gen_inbetween.evaluation.samplers import open_auto, open_sampler, open_spec
from gen_inbetween.evaluation.settings import TRUTH, EvalRun, EvaluationError, inputs_of
from gen_inbetween.models.registry import ModelSpec
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.files import check_writable
from gen_inbetween.runtime.outputs import claim_folder
from gen_inbetween.runtime.processes import launched_processes
from gen_inbetween.runtime.trust.limits import shorten

INTERPOLATES = (INTERPOLATE, "flow")  # the second is its name in configurations of version 0.1
KINDS = ("method", "baseline", "folder")
WRITTEN = (  # into the output folder
    "clips", "scores", "features", "sets", "results.jsonl", "sets.json", "run.json",
    "report.md", "report.html", "plots", "sheets", "videos",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class EvalContext:
    """What `open_context` opens. `clip_metrics` and `set_metrics` by name, in the order of the configuration."""

    run: EvalRun
    spec: ModelSpec | None  # of the samplers, if there are any
    pair_list: PairList
    pairs: tuple[Pair, ...]
    methods: tuple[Method, ...]
    true_clips: TrueClips
    clip_metrics: dict[str, ClipMetric]
    set_metrics: dict[str, SetMetric]
    size: tuple[int, int]  # (width, height)
    truths: Truths
    processes: Any  # accelerate's PartialState under a launcher, else None
    _clips: dict[tuple[str, str, int], EvalClip] = field(default_factory=dict)

    @property
    def is_main(self) -> bool:
        return self.processes is None or bool(self.processes.is_main_process)

    def clip(self, method: Method, pair: Pair, seed: int) -> EvalClip:
        """One clip, the same object in all phases: what decides it is hashed once."""
        return self._clips.setdefault((method.label, pair.name, seed), EvalClip(method, pair, seed))

    def clips(self, *methods: Method) -> Iterator[EvalClip]:
        """The clips of these methods; a pair's clips in a row, so that its true clip is opened once."""
        for pair in self.pairs:
            for method in methods:
                for seed in self.run.seeds if method.seeded else self.run.seeds[:1]:
                    yield self.clip(method, pair, seed)


def open_context(run: EvalRun) -> EvalContext:
    """Open what a run names; whatever can be wrong with it is said here, before any long work.

    Raises:
        EvaluationError, PairError, ModelError: the list, a method, the model or the output folder cannot be used.
        UnknownMetric, MissingWeights, ImportError: as `metrics.open_metric`.
    """
    check_writable(run.output / "results.jsonl")
    pair_list = read_list(run.pairs)
    pairs = pair_list.pairs[run.skip :][: run.limit]
    if not pairs:
        raise EvaluationError(f"skip={run.skip}: {run.pairs} has {len(pair_list.pairs)} pairs, so none is left")
    if twice := sorted({seed for seed in run.seeds if run.seeds.count(seed) > 1}):
        raise EvaluationError(f"seeds: {twice[0]} stands there twice, and its clips would count twice: name it once")
    processes = launched_processes()
    place = default_device() if processes is None else processes.device
    device = place.type if place.type == "cpu" else str(place)  # accelerate numbers processors, too: "cpu:1"
    samples = any(entry.get("method", INTERPOLATE) not in INTERPOLATES for entry in run.methods.values())
    spec = open_spec(run.model) if samples or run.width is None or run.height is None else None
    width, height = (value or getattr(spec, side) for side, value in (("width", run.width), ("height", run.height)))
    methods = open_methods(run, spec if samples else None, (width, height), device)
    metrics = {name: open_metric(name).to(device) for name in run.metrics}
    if not metrics:
        raise EvaluationError("metrics: expected at least one name, for example psnr[inner]")
    clip_metrics = {name: metric for name, metric in metrics.items() if isinstance(metric, ClipMetric)}
    run.report.check(run.methods, clip_metrics)
    truths = Truths(run.root, width, height)
    claim_folder(run.output, WRITTEN, inputs_of(run), proof="run.json")
    return EvalContext(
        run,
        spec if samples else None,
        pair_list,
        pairs,
        methods,
        TrueClips(TRUTH, {"truth": "fitted", "size": [width, height]}, truths),
        clip_metrics,
        {name: metric for name, metric in metrics.items() if isinstance(metric, SetMetric)},
        (width, height),
        truths,
        processes,
    )


def open_methods(run: EvalRun, spec: ModelSpec | None, size: tuple[int, int], device: str) -> tuple[Method, ...]:
    """Every method of the run, checked as far as can be without opening a model.

    Args:
        spec: the model of all samplers, None if there are none. size: (width, height) of all clips.
        device: of the samplers and interpolators.

    Raises:
        EvaluationError: an entry that is none of the three kinds, an unknown or impossible option, a missing package,
            folder or motion; the message names the label.
    """
    if not run.methods:
        raise EvaluationError("methods: expected at least one, for example crossfade: {baseline: crossfade}")
    if run.reference is not None and run.reference not in run.methods:
        raise EvaluationError(f"reference {run.reference!r} is no method of this run: {', '.join(run.methods)}")
    methods = []
    for label, entry in run.methods.items():
        try:
            check_label(label)
            methods.append(open_method(label, entry, run, spec, size, device))
        except ValueError as error:
            raise EvaluationError(f"methods.{shorten(label)}: {error}") from error
    return tuple(methods)


def open_method(
    label: str, entry: Mapping[str, Any], run: EvalRun, spec: ModelSpec | None, size: tuple[int, int], device: str
) -> Method:
    """One method by its entry; arguments and errors as `open_methods`, the message without the label."""
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise EvaluationError(f"expected one of the keys {', '.join(KINDS)}, got {sorted(entry)}")
    if "folder" in entry:
        return open_folder(label, entry, size)
    if "baseline" in entry:
        return open_baseline(label, entry, size, run.output, device)
    if entry["method"] in INTERPOLATES:
        return open_interpolate(label, entry, size, run.output, device)
    assert spec is not None  # there is one where anything samples
    dtype = run.dtype or ("float32" if device == "cpu" else "float16")  # as `models.open_pipeline` chooses
    opened = open_auto if entry["method"] == AUTO else open_sampler
    return opened(label, entry, size, run.output, spec, device, dtype)
