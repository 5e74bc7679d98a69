"""Metrics of clips and of sets of clips, by name.

A name says what is measured, on which frames, at which size. `METRICS` maps each name to what makes the metric;
`open_metric` makes it. Two kinds: a `ClipMetric` scores one clip at a time, a `SetMetric` compares two sets of clips.
Both are torchmetrics objects (`update`, `compute`, `reset`).

    metric = open_metric("psnr[inner]")
    metric.update(Sample(frames, truth))
    metric.compute()

Importing this package loads no backbone and no torchmetrics; asking for a name loads what the name needs. Published
weights are looked for as weights.py says; a file elsewhere is given by hand, as the extractor of a metric of sets:
`METRICS["fid_inception[inner,299]"](Inception(path))`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from gen_inbetween.runtime.messages import nearest_names

if TYPE_CHECKING:
    from gen_inbetween.evaluation.metrics.clip_metric import Better, ClipMetric, Family
    from gen_inbetween.evaluation.metrics.set_metric import SetMetric

_MODULES = ("fidelity", "perceptual", "motion", "truth", "sets")  # each ends in a tuple METRICS
__all__ = ["METRICS", "UnknownMetric", "open_metric"]


class UnknownMetric(ValueError):
    """A name that no metric has."""


class Factory(Protocol):
    """A subclass of ClipMetric, or a SetMetricSpec: it has the metric's name and makes it."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def better(self) -> Better: ...
    @property
    def family(self) -> Family: ...

    def __call__(self) -> ClipMetric | SetMetric: ...


@cache
def load_metrics() -> dict[str, Factory]:
    """METRICS: what makes each metric, by name; ImportError where a package is missing, saying which to install."""
    try:
        modules = [import_module(f".{module}", __name__) for module in _MODULES]
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__name__):
            raise
        missing = error.name
        raise ImportError(f"measuring needs {missing}: pip install 'gen_inbetween[eval]'", name=missing) from error
    factories: Iterable[Factory] = [factory for module in modules for factory in module.METRICS]
    return {factory.name: factory for factory in factories}


def __getattr__(name: str) -> Any:
    if name != "METRICS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return load_metrics()


def open_metric(name: str) -> ClipMetric | SetMetric:
    """The metric of that name, ready for `update`.

    Raises:
        UnknownMetric: naming those that come nearest.
        MissingWeights: where a backbone's file is not on this machine and cannot be fetched; says where to put it.
        ImportError: where a package is missing; says which to install.
    """
    registry = load_metrics()
    if name not in registry:
        near = [other for other in registry if name and name in other]
        near = near or nearest_names(name, registry, count=3)
        known = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(sorted(registry))}"
        raise UnknownMetric(f"there is no metric {name!r}; {known}")
    from gen_inbetween.models.backbones.weights import MissingWeights

    try:
        return registry[name]()
    except (MissingWeights, ImportError) as error:
        raise type(error)(f"{name}: {error}") from error
