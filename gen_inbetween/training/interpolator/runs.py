"""Checkpoints, learning-rate schedule and result file of an interpolator's training run.

A checkpoint needs no random state: what happens in a step depends on (seed, step) alone (`sample_order.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from gen_inbetween.data.clips import ClipFolder
from gen_inbetween.interpolation.weights.architectures import build_network, save_interpolator
from gen_inbetween.interpolation.weights.detect import load_weights
from gen_inbetween.interpolation.weights.files import INTERPOLATOR_FILE, read_weights, weights_file
from gen_inbetween.runtime.hashing import json_sha256
from gen_inbetween.runtime.manifest import versions
from gen_inbetween.training.interpolator.checks import kind_of, sizes_of
from gen_inbetween.training.interpolator.settings import Optimizer, Run
from gen_inbetween.training.state import ResumeError, write_checkpoint


@dataclass
class InterpolatorTraining:
    """The objects whose state a checkpoint holds, and what run they belong to."""

    bare: nn.Module  # the network that learns
    wrapped: Any  # the same, as accelerate trains it
    optimizer: Any
    schedule: Any
    settings: Mapping[str, Any]  # the settings that decide the weights
    source: str  # what the triplets come from, `source_of`

    def save(self, folder: Path, step: int, keep: int) -> None:
        """Write `checkpoint_<steps done>.pt`, whole or not at all; of older ones the last `keep` - 1 stay."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        state = {"step": step, "settings": dict(self.settings), "source": self.source, "parts": parts}
        write_checkpoint(folder, state, keep=keep)

    def restore(self, state: Mapping[str, Any]) -> int:
        """Put in what `read_checkpoint` returned; gives the steps done. ResumeError: it learned from other videos."""
        if state["source"] != self.source:
            raise ResumeError(
                "the checkpoint was trained on other videos than are in videos.folder now (names, sizes or order "
                "differ): put them back, or start anew"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        return int(state["step"])

    def _parts(self) -> dict[str, Any]:
        return {"network": self.bare, "optimizer": self.optimizer, "schedule": self.schedule}


def open_training(run: Run, accelerator: Accelerator, settings: Mapping[str, Any], source: str) -> InterpolatorTraining:
    """The network of a checked run, drawn from its seed, and its optimizer."""
    torch.manual_seed(run.seed)
    teacher = run.network.architecture == "ifnet"
    bare = build_network(run.network.architecture, kind_of(run.network), sizes_of(run.network), teacher=teacher)
    if run.network.start is not None:
        teacher_of_ours = {name: value for name, value in bare.state_dict().items() if name.startswith("block_tea.")}
        load_weights(bare, teacher_of_ours | read_weights(weights_file(run.network.start))[0])
    optimization = run.optimizer
    optimizer = torch.optim.AdamW(bare.parameters(), lr=optimization.lr, weight_decay=optimization.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(optimization, run.steps, step))
    wrapped, prepared = accelerator.prepare(bare, optimizer)
    return InterpolatorTraining(bare, wrapped, prepared, schedule, settings, source)


def rate(optimizer: Optimizer, steps: int, step: int) -> float:
    """The share of `optimizer.lr` at which `step` of `steps` learns.

    RIFE's cosine begins where its warm-up of 2,000 steps ends; this one begins with the run, which there are 0.02 % of
    the rate.
    """
    rise = min(1.0, (step + 1) / (optimizer.lr_warmup_steps + 1))
    if optimizer.drops:
        return rise * 0.1 ** sum(step >= share * steps for share in optimizer.drops)
    final = optimizer.final_lr / optimizer.lr
    return rise * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))


def source_of(windows: ClipFolder | None) -> str:
    """Tells the videos of one run from those of another."""
    if windows is None:
        return "moving layers"
    return json_sha256(windows.identity())


def save_result(run: Run, training: InterpolatorTraining, windows: ClipFolder | None, done: int) -> None:
    """Write `<output>/interpolator.safetensors` as it is after `done` steps, and how it came about."""
    data = f"{len(windows)} windows of videos" if windows else "moving layers"
    paths = ("network.start", "vgg16", "videos.flows")  # they say nothing on another machine
    recipe = {key: Path(value).name if key in paths and value else value for key, value in training.settings.items()}
    about = {
        "version": f"{run.output.name}, {done} steps on {data}",
        "license": run.license,
        "steps": done,
        "seed": run.seed,
        "data": data,
        "recipe": recipe,
        "versions": versions(),
    }
    save_interpolator(
        training.bare,
        run.output / INTERPOLATOR_FILE,
        architecture=run.network.architecture,
        kind=kind_of(run.network),
        sizes=sizes_of(run.network),
        dtype=getattr(torch, run.save_dtype),
        about=about,
    )
