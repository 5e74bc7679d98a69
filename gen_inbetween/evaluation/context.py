"""Everything an evaluation works with, opened and checked before any long work: pairs, methods, metrics, processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gen_inbetween.diffusion.methods import FLOW
from gen_inbetween.evaluation.clip_store import asked, outside_path
from gen_inbetween.evaluation.methods import FolderMethod, Method, open_methods
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric
from gen_inbetween.evaluation.metrics.set_metric import SetMetric
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import PairList, read_list
from gen_inbetween.evaluation.pairs.truth import Truths
from gen_inbetween.evaluation.samplers import Sampler, open_spec
from gen_inbetween.evaluation.settings import TRUTH, EvalRun, EvaluationError
from gen_inbetween.models.registry import ModelSpec
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.files import check_writable
from gen_inbetween.runtime.hashing import short_hash, stamp
from gen_inbetween.runtime.processes import launched_processes


@dataclass(frozen=True)
class TrueClips:
    """The true clips as a method: what the others are compared with, and the floor of every measure."""

    decided_by: dict[str, Any]
    label = TRUTH
    seeded = False


Scored = Method | TrueClips


@dataclass(frozen=True)
class Item:
    """One clip of an evaluation."""

    method: Scored
    pair: Pair
    seed: int

    @property
    def identity(self) -> str:
        """Hash of what decides the clip: what is kept about a clip is kept under this name."""
        request = asked(self.method, self.pair, self.seed)
        if isinstance(self.method, FolderMethod):
            request["files"] = stamp(outside_path(self.method.folder, self.pair))
        return short_hash(request)


@dataclass(frozen=True)
class Bench:
    """What `open_bench` opens. `clip_metrics` and `set_metrics` by name, in the order of the configuration."""

    run: EvalRun
    spec: ModelSpec | None  # of the samplers, if there are any
    listed: PairList
    pairs: tuple[Pair, ...]
    methods: tuple[Method, ...]
    true_clips: TrueClips
    clip_metrics: dict[str, ClipMetric]
    set_metrics: dict[str, SetMetric]
    size: tuple[int, int]  # (width, height)
    truths: Truths
    processes: Any  # accelerate's PartialState under a launcher, else None

    @property
    def is_main(self) -> bool:
        return self.processes is None or bool(self.processes.is_main_process)

    def items(self, *methods: Scored) -> Iterator[Item]:
        """The clips of these methods; a pair's clips in a row, so that its true clip is opened once."""
        for pair in self.pairs:
            for method in methods:
                for seed in self.seeds(method):
                    yield Item(method, pair, seed)

    def seeds(self, method: Scored) -> tuple[int, ...]:
        """All seeds for what depends on one, otherwise the first."""
        return self.run.seeds if method.seeded else self.run.seeds[:1]


def open_bench(run: EvalRun) -> Bench:
    """Open what a run names; whatever can be wrong with it is said here, before any long work.

    Raises:
        EvaluationError, PairError, ModelError: the list, a method, the model or the output folder cannot be used.
        UnknownMetric, MissingWeights, ImportError: as `metrics.open_metric`.
    """
    check_writable(run.output / "results.jsonl")
    listed = read_list(run.pairs)
    processes = launched_processes()
    place = default_device() if processes is None else processes.device
    device = place.type if place.type == "cpu" else str(place)  # accelerate numbers processors, too: "cpu:1"
    samples = any(entry.get("method", FLOW) != FLOW for entry in run.methods.values())
    needs_model = run.width is None or run.height is None or samples
    spec = open_spec(run.model) if needs_model else None
    width, height = (given or getattr(spec, side) for side, given in (("width", run.width), ("height", run.height)))
    dtype = run.dtype or ("float32" if device == "cpu" else "float16")  # as `models.open_pipeline` chooses
    methods = open_methods(run, spec, (width, height), device, dtype)
    metrics = {name: open_metric(name).to(device) for name in run.metrics}
    if not metrics:
        raise EvaluationError("metrics: expected at least one name, for example psnr[inner]")
    clip_metrics = {name: metric for name, metric in metrics.items() if isinstance(metric, ClipMetric)}
    run.report.check(run.methods, clip_metrics)
    return Bench(
        run,
        spec if any(isinstance(method, Sampler) for method in methods) else None,
        listed,
        listed.pairs[: run.limit],
        methods,
        TrueClips({"truth": "fitted", "size": [width, height]}),
        clip_metrics,
        {name: metric for name, metric in metrics.items() if isinstance(metric, SetMetric)},
        (width, height),
        Truths(run.root, width, height),
        processes,
    )
