"""Cross-checks between the settings of an interpolator's training run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from gen_inbetween.interpolation.interpolator import Kind
from gen_inbetween.interpolation.weights.architectures import ARCHITECTURES, build_network
from gen_inbetween.runtime.config import ConfigError
from gen_inbetween.training.interpolator.settings import MovingLayers, Network, Run

SIZES = ("widths", "depth", "context_width", "matching_width")


def kind_of(network: Network) -> Kind:
    """The kind that is asked for, or the architecture's first."""
    return network.kind or ARCHITECTURES[network.architecture].kinds[0]


def sizes_of(network: Network) -> dict[str, Any]:
    """The sizes that are given."""
    return {key: getattr(network, key) for key in SIZES if getattr(network, key) is not None}


def fill_and_check(run: Run) -> Run:
    """The run with its kind and the source of its triplets filled in.

    Raises:
        ConfigError, InterpolatorError: what contradicts, or is said of a network that does not read it.
    """
    kind = kind_of(run.network)
    with torch.device("meta"):
        network = build_network(run.network.architecture, kind, sizes_of(run.network))
    sides = [phase.size for phase in run.phases] + ([run.validation.size] if run.validation else [])
    unfit = next((side for side in sides if side % network.multiple), None)
    if unfit is not None:
        raise ConfigError(f"this network takes sizes in multiples of {network.multiple} pixels, got {unfit}")
    for problem in (*_of_phases(run), *_of_network(run, kind), *_of_triplets(run, kind)):
        raise ConfigError(problem)
    layers = run.moving_layers if run.moving_layers or run.videos else MovingLayers()
    return replace(run, network=replace(run.network, kind=kind), moving_layers=layers)


def _of_phases(run: Run) -> Iterator[str]:
    starts = [phase.start for phase in run.phases]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        yield f"expected phases that start at step 0 and then ever later, got starts {starts}"
    if run.optimizer.drops and run.optimizer.final_lr:
        yield "optimizer.drops stand in place of the cosine, which final_lr is of: give one of them"
    for phase in run.phases:
        if run.network.architecture != "tiny-di" and phase.small != (1,):
            yield f"only tiny-di matches frames at a smaller size; leave phases' small away, got {list(phase.small)}"
        if any(small & (small - 1) for small in phase.small):
            yield f"expected powers of two for phases' small, got {list(phase.small)}"


def _of_network(run: Run, kind: Kind) -> Iterator[str]:
    name = run.network.architecture
    if run.distillation is not None and name != "ifnet":
        yield f"distillation is of IFNet's teacher; {name} has none"
    if run.flow_power != 1 and name != "tiny-di":
        yield f"flow_power is of tiny-di's errors of flows; {name} learns from frames alone"
    if run.vgg16 is not None and name != "superslomo":
        yield f"vgg16 is for Super SloMo's perceptual term; {name} has none"
    if name == "tiny-di" and run.videos:
        yield "tiny-di learns from exact motion, which videos do not have: set videos=null, or another architecture"


def _of_triplets(run: Run, kind: Kind) -> Iterator[str]:
    videos = run.videos
    if videos is None:
        if run.validation and run.validation.folder:
            yield "validation.folder is cut into windows as videos says: give videos too, or leave it away"
        return
    if run.moving_layers:
        yield "expected either videos or moving_layers, got both"
    largest = max(phase.size for phase in run.phases)
    if largest > min(videos.width, videos.height):
        yield f"crops of {largest} pixels do not fit into frames of {videos.width}x{videos.height}: see videos.width"
    if run.validation and run.validation.folder and run.validation.size > min(videos.width, videos.height):
        yield f"validation.size {run.validation.size} does not fit into frames of {videos.width}x{videos.height}"
    if videos.span is not None and videos.span >= videos.frames:
        yield f"a window of videos.frames={videos.frames} has no two frames videos.span={videos.span} steps apart"
    if kind == "midpoint" and videos.frames != 3:
        yield "a midpoint network learns from three frames in a row: set videos.frames=3 (and a stride for longer ways)"
    if not kind.startswith("index") and (videos.flows or videos.blur):
        yield f"videos.flows and videos.blur make distance maps, which a network of kind {kind} does not take"
    if videos.blur is not None and videos.blur % 2 == 0:
        yield f"expected videos.blur to be an odd number of pixels, got {videos.blur}"
