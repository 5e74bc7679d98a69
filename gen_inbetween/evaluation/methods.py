"""From a line of the configuration to something that makes clips, or to a folder where clips are.

Each method has `decided_by`: plain values that decide its pixels, given a pair and a seed. Their hash is part of the
name of its output folder, so that a changed option, weight or size is another folder and never mixes with the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from gen_inbetween.diffusion.methods import AUTO, FLOW
from gen_inbetween.evaluation.clip_store import Made
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.samplers import Sampler, open_routed, open_sampler
from gen_inbetween.evaluation.settings import TRUTH, EvalRun, EvaluationError
from gen_inbetween.generation.interpolate import FLOWS_ALONE
from gen_inbetween.interpolation.interpolator import check_kind
from gen_inbetween.interpolation.pairs import inbetween_frames
from gen_inbetween.interpolation.registry import DEFAULT, INTERPOLATORS, load_interpolator
from gen_inbetween.media.fit import crossfade
from gen_inbetween.models.registry import ModelSpec
from gen_inbetween.runtime.cost import measured
from gen_inbetween.runtime.messages import nearest_names

KINDS = ("method", "baseline", "folder")


@dataclass(frozen=True)
class Baseline:
    """An interpolator without noise: one clip per pair, whatever the seeds."""

    label: str
    interpolation: Interpolation
    decided_by: Mapping[str, Any]
    seeded = False

    def make(self, pair: Pair, frame0: Image.Image, frame1: Image.Image, seed: int) -> Made:
        """As `Sampler.make`; the seed is not looked at."""
        with measured(torch.device("cpu")) as cost:
            frames = self.interpolation.between(frame0, frame1, pair.num_frames)
        return Made(frames, 0, cost["seconds"], cost["peak_memory"])


@dataclass(frozen=True)
class FolderMethod:
    """Clips made by any other tool, read where they are: see `made.outside_path`."""

    label: str
    folder: Path
    decided_by: Mapping[str, Any]
    seeded = False


Method = Sampler | Baseline | FolderMethod


def open_methods(
    run: EvalRun, spec: ModelSpec | None, size: tuple[int, int], device: str, dtype: str
) -> tuple[Method, ...]:
    """Every method of the run, checked as far as can be without opening a model.

    Args:
        spec: the model of all samplers, None if there are none. size: (width, height) of all clips.
        device, dtype: of the samplers.

    Raises:
        EvaluationError: an entry that is none of the three kinds, an unknown or impossible option, a missing package,
            folder or motion; the message names the label.
    """
    if not run.methods:
        raise EvaluationError("methods: expected at least one, for example crossfade: {baseline: crossfade}")
    if run.reference is not None and run.reference not in run.methods:
        raise EvaluationError(f"reference {run.reference!r} is no method of this run: {', '.join(run.methods)}")
    methods: list[Method] = []
    for label, entry in run.methods.items():
        kinds = [kind for kind in KINDS if kind in entry]
        try:
            check_label(label)
            if len(kinds) != 1:
                raise EvaluationError(f"expected one of the keys {', '.join(KINDS)}, got {sorted(entry)}")
            if kinds == ["method"] and entry["method"] == FLOW:
                methods.append(open_flow_method(label, entry, size, device))
            elif kinds == ["method"] and spec is not None:
                opened = open_routed if entry["method"] == AUTO else open_sampler
                methods.append(opened(label, entry, spec, size, device, dtype))
            elif kinds == ["baseline"]:
                methods.append(open_simple(label, entry, size, device))
            else:
                methods.append(open_folder(label, entry, size))
        except ValueError as error:
            raise EvaluationError(f"methods.{label}: {error}") from error
    return tuple(methods)


def open_simple(label: str, entry: Mapping[str, Any], size: tuple[int, int], device: str) -> Baseline:
    """A `Baseline` from its entry."""
    check_alone(entry, "baseline")
    interpolation = open_baseline(entry["baseline"], device)
    return Baseline(label, interpolation, {"baseline": entry["baseline"], "size": size, **interpolation.weights})


def open_flow_method(label: str, entry: Mapping[str, Any], size: tuple[int, int], device: str) -> Baseline:
    """{method: flow, interpolator: name or file, iters: n}: a baseline that need not be in BASELINES."""
    common = next((key for key in entry if key not in ("method", *FLOWS_ALONE)), None)
    if common:
        raise EvaluationError(f"method flow takes {' and '.join(FLOWS_ALONE)} here, got {common!r}")
    iters, name = entry.get("iters") or 1, entry.get("interpolator") or DEFAULT
    interpolation = open_flow(name, device, iters)
    return Baseline(label, interpolation, {**entry, "interpolator": name, "size": size, **interpolation.weights})


def open_folder(label: str, entry: Mapping[str, Any], size: tuple[int, int]) -> FolderMethod:
    """A `FolderMethod` from its entry; its clips are looked at one by one, later."""
    check_alone(entry, "folder")
    folder = Path(entry["folder"]).expanduser().resolve()
    if not folder.is_dir():
        raise EvaluationError(f"no such folder: {folder}")
    return FolderMethod(label, folder, {"folder": str(folder), "size": size})


def check_label(label: str) -> None:
    """EvaluationError for a label that cannot name a folder, or that is the true clips' own."""
    if label == TRUTH or not label or label.startswith(".") or any(sign in label for sign in '/\\:*?"<>|'):
        raise EvaluationError(f"expected a label that can be part of a folder's name and is not {TRUTH!r}")


def check_alone(entry: Mapping[str, Any], kind: str) -> None:
    """EvaluationError where a baseline or folder is given options, which it would not look at."""
    if set(entry) != {kind}:
        raise EvaluationError(f"a {kind} takes no further options, got {', '.join(sorted(set(entry) - {kind}))}")


@dataclass(frozen=True)
class Interpolation:
    """An opened baseline: (frame0, frame1, num_frames) -> num_frames RGB images, and what weights it uses."""

    between: Callable[[Image.Image, Image.Image, int], list[Image.Image]]
    weights: Mapping[str, Any] = field(default_factory=dict)  # version and hash, where there are any


def nearest(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
    """Each frame a copy of the keyframe that is nearer in time; the one half-way, if there is one, of frame1."""
    return [frame0 if index < (num_frames - 1) / 2 else frame1 for index in range(num_frames)]


def open_flow(name: str, device: str, iters: int = 1) -> Interpolation:
    """An interpolator of `flow.INTERPOLATORS` or a file of weights, at equal steps of time."""
    interpolator = load_interpolator(name, device=device)
    check_kind(interpolator.kind, 0.5, None, iters)

    def between(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
        return inbetween_frames(frame0, frame1, num_frames, interpolator, iters=iters)

    return Interpolation(between, {"version": interpolator.info.version, "sha256": interpolator.info.sha256})


BASELINES: dict[str, Callable[[str], Interpolation]] = {
    "crossfade": lambda device: Interpolation(crossfade),
    "nearest": lambda device: Interpolation(nearest),
    **{f"flow-{name}": partial(open_flow, name) for name in INTERPOLATORS if name not in ("blend", "nearest")},
}


def open_baseline(name: str, device: str) -> Interpolation:
    """The baseline of that name, on a device if it computes there.

    Raises:
        EvaluationError: no such baseline, naming the nearest; or a package that it needs is missing.
        InterpolatorError: its weights are not on this machine.
    """
    if name not in BASELINES:
        near = nearest_names(name, BASELINES, cutoff=0)
        raise EvaluationError(f"expected a baseline out of {', '.join(BASELINES)}, got {name!r}; nearest: {near[0]}")
    try:
        return BASELINES[name](device)
    except ImportError as error:
        raise EvaluationError(f"baseline {name} cannot be opened: {error}") from error
