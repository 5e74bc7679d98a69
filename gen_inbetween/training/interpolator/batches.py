"""Deterministic batches of training triplets, from (seed, step, process) alone.

Moving layers are drawn batch by batch, each from its own generator; videos triplet by triplet, every window once in
each epoch (`sample_order.py`). So a run resumed at step n goes on as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Generator
from torch.utils.data import DataLoader

from gen_inbetween.data.clips import ClipFolder
from gen_inbetween.data.textures import photographs
from gen_inbetween.training.interpolator.moving_layers import Triplets, draw_triplets
from gen_inbetween.training.interpolator.recipes import to_device
from gen_inbetween.training.interpolator.settings import MovingLayers, Phase, Run, Videos
from gen_inbetween.training.interpolator.video_triplets import (
    FlowOf,
    PickedTriplets,
    VideoTriplets,
    open_flow,
    stack,
    with_distances,
)
from gen_inbetween.training.sample_order import ORDER, seeded

TRAINING, VALIDATION = range(2)  # what a generator of moving layers is for


@dataclass(frozen=True)
class Turn:
    """One batch of one process."""

    step: int
    number: int  # counts the batches of all processes, if every step had as many
    place: int  # counts triplets over the whole run: that of its first
    phase: Phase

    @property
    def small(self) -> int:
        return self.phase.small[self.step % len(self.phase.small)]


def turns(run: Run, start: int, rank: int, processes: int) -> Iterator[Turn]:
    """The batches of process `rank`, from step `start` to the end."""
    parts = run.gradient_accumulation_steps * processes
    done = 0  # triplets of all processes
    for step in range(run.steps):
        phase = [phase for phase in run.phases if phase.start <= step][-1]
        for part in range(run.gradient_accumulation_steps if step >= start else 0):
            mine = part * processes + rank
            yield Turn(step, step * parts + mine, done + mine * phase.batch, phase)
        done += parts * phase.batch


def layers_at(run: Run, phase: Phase, step: int, generator: Generator) -> Triplets:
    """Triplets of moving layers as the run has them at `step`."""
    layers = run.moving_layers or MovingLayers()
    grown = min(1.0, step / (layers.ramp * run.steps))
    reach = layers.reach[0] + grown * (layers.reach[1] - layers.reach[0])
    pictures = photographs() if layers.photographs else ()
    middle = run.network.kind == "midpoint"
    how: dict[str, Any] = {"photographs": pictures, "middle": middle, "still": layers.still}
    return draw_triplets(generator, phase.batch, phase.size, reach=reach, **how)


def open_windows(videos: Videos, folder: Any = None) -> ClipFolder:
    """The windows of frames in `videos.folder`, or in another one as if it were that. DataError: as `ClipFolder`."""
    names = ("width", "height", "stride", "hop", "fit", "skip_scene_cuts")
    options = {name: getattr(videos, name) for name in names}
    return ClipFolder(folder or videos.folder, num_frames=videos.frames, **options)


@dataclass(frozen=True)
class Distances:
    """Puts estimated path distances into triplets of videos, for a network of kind `run.network.kind`."""

    run: Run
    flow_of: FlowOf

    def __call__(self, triplets: VideoTriplets) -> VideoTriplets:
        kind, videos = self.run.network.kind, self.run.videos
        assert kind is not None and videos is not None
        blur = videos.blur or (9 if kind.endswith("+ref") else 5)
        return with_distances(triplets, self.flow_of, blur, kind)


def open_distances(run: Run, device: torch.device) -> Distances | None:
    """None where nothing is to be estimated. Raises as `video_triplets.open_flow`."""
    if run.videos is None or not (run.network.kind or "").startswith("index"):
        return None
    return Distances(run, open_flow(run.videos.flows or "dis", device))


def draw_batches(
    run: Run, windows: ClipFolder | None, distances: Distances | None, start: int, rank: int, processes: int,
    device: torch.device,
) -> Iterator[tuple[Turn, Triplets | VideoTriplets]]:  # fmt: skip
    """The batches of process `rank` from step `start` on, on `device`. windows: of videos; None: moving layers."""
    if windows is None or run.videos is None:
        for turn in turns(run, start, rank, processes):
            generator = seeded(run.seed, TRAINING, turn.number)
            yield turn, to_device(layers_at(run, turn.phase, turn.step, generator), device)
        return
    places = (
        [(turn.place + item, turn.phase.size) for item in range(turn.phase.batch)]
        for turn in turns(run, start, rank, processes)
    )
    loader: DataLoader = DataLoader(
        PickedTriplets(windows, run.videos.span, run.videos.augment, run.seed),
        batch_sampler=cast(Any, places),
        num_workers=run.dataloader_num_workers,
        collate_fn=stack,
        generator=seeded(run.seed, ORDER, 0),  # left alone the loader takes from the global generator
    )
    for turn, batch in zip(turns(run, start, rank, processes), loader, strict=True):
        triplets = to_device(batch, device)
        yield turn, distances(triplets) if distances else triplets
