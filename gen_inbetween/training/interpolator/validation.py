"""Validation during training: PSNR on held-out triplets, and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from gen_inbetween.interpolation.interpolator import Kind
from gen_inbetween.interpolation.pairs import tensor_frame
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime.files import save_image, write_json
from gen_inbetween.training.interpolator.batches import VALIDATION, Distances, layers_at, open_windows
from gen_inbetween.training.interpolator.moving_layers import Triplets
from gen_inbetween.training.interpolator.recipes import index_input, to_device
from gen_inbetween.training.interpolator.settings import Phase, Run
from gen_inbetween.training.interpolator.video_triplets import VideoTriplets, pick_middle, stack
from gen_inbetween.training.sample_order import seeded

AT_ONCE = 16


@dataclass(frozen=True)
class HeldOut:
    """Called with the network and the steps done: writes `<folder>/<step>.json` and `.png`, returns the figures."""

    batches: Sequence[Triplets | VideoTriplets]
    kind: Kind
    folder: Path
    sheet: int  # triplets shown
    device: torch.device

    @torch.no_grad()
    def __call__(self, network: nn.Module, step: int) -> dict[str, Any]:
        """PSNR in dB of "cross-fade" and "frames", and where the true motion is known each flow's error in pixels."""
        network.eval()
        faded, made, apart = [], [], []
        rows: dict[str, list[Image.Image]] = {}
        for batch in self.batches:
            triplets = to_device(batch, self.device)
            estimate = network(triplets.a, triplets.b, index_input(triplets, self.kind))
            mixed = (1 - triplets.time) * triplets.a + triplets.time * triplets.b
            for number in range(min(len(mixed), self.sheet - len(rows))):
                label, row = describe(triplets, mixed, estimate.frame, number)
                rows[f"{len(rows) + 1}: {label}"] = row
            faded.append(psnr(mixed, triplets.target))
            made.append(psnr(estimate.frame, triplets.target))
            if isinstance(triplets, Triplets):
                apart.append(torch.stack([(flow - triplets.flow).abs().mean() for flow in estimate.flows]))
        network.train()
        figures: dict[str, Any] = {"cross-fade": mean_of(faded), "frames": mean_of(made)}
        if apart:
            figures["flows"] = [round(float(error), 4) for error in torch.stack(apart).mean(0)]
        self._write(step, figures, rows)
        return figures

    def _write(self, step: int, figures: dict[str, Any], rows: dict[str, list[Image.Image]]) -> None:
        write_json(self.folder / f"{step:07d}.json", {"step": step, **figures})
        if rows:
            save_image(self.folder / f"{step:07d}.png", contact_sheet(rows))


def describe(
    triplets: Triplets | VideoTriplets, mixed: Tensor, frame: Tensor, number: int
) -> tuple[str, list[Image.Image]]:
    """A label and a row: first frame, cross-fade, network, truth, second frame."""
    shown = [pictures[number : number + 1] for pictures in (triplets.a, mixed, frame, triplets.target, triplets.b)]
    fade, made = (float(psnr(picture, shown[3])) for picture in shown[1:3])
    label = f"t = {float(triplets.time[number]):.2f}: first, cross-fade {fade:.1f} dB, network {made:.1f} dB"
    return f"{label}, truth, second", [tensor_frame(picture.clamp(0, 1)) for picture in shown]


def open_held_out(run: Run, distances: Distances | None, device: torch.device) -> HeldOut | None:
    """The held-out triplets of a checked run; None where it has no validation. DataError: as `ClipFolder`."""
    wanted, kind = run.validation, run.network.kind
    if wanted is None or kind is None:
        return None
    counts = [min(AT_ONCE, wanted.triplets - first) for first in range(0, wanted.triplets, AT_ONCE)]
    batches: list[Triplets | VideoTriplets]
    if wanted.folder is None or run.videos is None:
        phases = [Phase(0, count, wanted.size) for count in counts]
        generators = [seeded(run.seed, VALIDATION, number) for number in range(len(counts))]
        batches = [layers_at(run, *each) for each in zip(phases, [run.steps] * len(counts), generators, strict=True)]
    else:
        windows = open_windows(run.videos, wanted.folder)
        picked = []
        for number in range(wanted.triplets):
            clip = windows[number * len(windows) // wanted.triplets]
            generator = seeded(run.seed, VALIDATION, number)
            picked.append(pick_middle(clip.frames / 2 + 0.5, wanted.size, run.videos.span, generator))
        videos = [stack(picked[first : first + AT_ONCE]) for first in range(0, wanted.triplets, AT_ONCE)]
        batches = [distances(to_device(each, device)) if distances else each for each in videos]
    return HeldOut(batches, kind, run.output / "validation", wanted.sheet, device)


def psnr(frames: Tensor, truth: Tensor) -> Tensor:
    """(B,) in dB, of frames (B, 3, H, W) in [0, 1]; 80 for the same."""
    return -10 * (frames - truth).square().mean((1, 2, 3)).clamp(min=1e-8).log10()


def mean_of(values: Sequence[Tensor]) -> float:
    return round(float(torch.cat(list(values)).mean()), 3)
