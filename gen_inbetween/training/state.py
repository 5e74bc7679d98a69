"""What survives of a training run: checkpoints that hold the update and its optimiser, and the averaged update.

A checkpoint never holds the UNet. For SVD it is 300 MB (100 of update, 200 of AdamW, float32), as LoRA 10 MB. It needs
no random state: draws depend on (seed, step) alone (`training_draws.py`), and the step is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.runtime.files import replaced

_CHECKPOINT = re.compile(r"checkpoint_(\d+)\.pt")


class ResumeError(ValueError):
    """A checkpoint that cannot be gone on from; the message says what differs and what to do."""


class AveragedUpdate:
    """Exponential moving average of the update, in float32.

    The decay rises as (1 + n) / (10 + n) to its final value, so that the zero the update starts from is soon forgotten.
    """

    def __init__(self, unet: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.average = {name: value.float().clone() for name, value in motion_state_dict(unet).items()}

    def follow(self, unet: nn.Module) -> None:
        """Call after each step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, value in motion_state_dict(unet).items():
            self.average[name].lerp_(value.float(), 1 - decay)

    @contextmanager
    def applied(self, unet: nn.Module) -> Iterator[None]:
        """The averaged update in the UNet for the time of a `with`."""
        kept = {name: value.clone() for name, value in motion_state_dict(unet).items()}
        fill(unet, self.average)
        try:
            yield
        finally:
            fill(unet, kept)


@torch.no_grad()
def fill(unet: nn.Module, update: Mapping[str, Tensor]) -> None:
    """Copy an update, named as in `motion_state_dict`, into the one that is installed; the parameters stay the same."""
    for name, value in motion_state_dict(unet).items():
        value.copy_(update[name])


@dataclass
class TrainingState:
    """The objects whose state a checkpoint holds, and what run they belong to."""

    unet: nn.Module
    parts: Mapping[str, Any]  # optimiser, schedule, gradient scaler: what has state_dict and load_state_dict
    average: AveragedUpdate | None
    decisive: Mapping[str, Any]  # the settings that decide the weights
    base: Mapping[str, str]  # the model the update belongs to, by name and hash

    def averaged(self) -> AbstractContextManager[None]:
        """The averaged update, if there is one, in the UNet for the time of a `with`."""
        return self.average.applied(self.unet) if self.average else nullcontext()

    def save(self, folder: str | Path, step: int, *, keep: int = 2) -> Path:
        """Write `checkpoint_<steps done>.pt`, whole or not at all; of older ones the last `keep` - 1 stay."""
        average = self.average
        state = {
            "step": step,
            "decisive": dict(self.decisive),
            "base": dict(self.base),
            "update": {name: value.cpu() for name, value in motion_state_dict(self.unet).items()},
            "average": None if average is None else {"update": average.average, "updates": average.updates},
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }
        return write_checkpoint(folder, state, keep=keep)

    def restore(self, state: Mapping[str, Any]) -> int:
        """Put in what `read_checkpoint` returned; gives the steps done. ResumeError: it is of another base model."""
        if state["base"] != self.base:
            raise ResumeError(f"the checkpoint was trained on {state['base']}, this model is {self.base}")
        fill(self.unet, state["update"])
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        if self.average is not None:
            for name, value in state["average"]["update"].items():
                self.average.average[name].copy_(value)
            self.average.updates = state["average"]["updates"]
        step: int = state["step"]
        return step


def write_checkpoint(folder: str | Path, state: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Write `checkpoint_<state["step"]>.pt`, whole or not at all; of older ones the last `keep` - 1 stay."""
    path = Path(folder) / f"checkpoint_{state['step']:07d}.pt"
    with replaced(path) as temporary:
        torch.save(dict(state), temporary)
    for leftover in path.parent.glob(".checkpoint_*"):  # of a run killed while it wrote
        leftover.unlink(missing_ok=True)
    for _, old in checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: str | Path) -> list[tuple[int, Path]]:
    """(step, file) of every checkpoint in a folder, the last one last."""
    files = Path(folder).glob("checkpoint_*.pt")
    return sorted((int(match[1]), file) for file in files if (match := _CHECKPOINT.fullmatch(file.name)))


def find_checkpoint(folder: str | Path, resume: str | None) -> Path | None:
    """The checkpoint to go on from, or None for a run from step 0.

    Args:
        resume: "latest" of `folder` (None if it has none yet, so that one command serves both), a file, or None.

    Raises:
        ResumeError: no such file; or nothing is to be resumed and the folder holds an earlier run.
    """
    found = checkpoints(folder)
    if resume is None and found:
        raise ResumeError(
            f"{folder} holds an earlier run (at step {found[-1][0]}): give --resume latest to go on with it, or "
            "output=... with another folder"
        )
    if resume == "latest":
        return found[-1][1] if found else None
    if resume is not None and not Path(resume).is_file():
        raise ResumeError(f"no checkpoint at {resume}; expected latest or one of {[path.name for _, path in found]}")
    return None if resume is None else Path(resume)


def read_checkpoint(path: Path, decisive: Mapping[str, Any]) -> dict[str, Any]:
    """The state in a checkpoint; ResumeError where it cannot be read or belongs to a run with other settings."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = state["decisive"]
    except Exception as error:  # a pickle that is cut off or is something else fails in many ways
        raise ResumeError(f"{path} is not a checkpoint that can be read: {error}; take an earlier one") from error
    differing = [
        f"{key} was {before.get(key)!r}, is now {decisive.get(key)!r}"
        for key in sorted(before.keys() | decisive.keys())
        if before.get(key) != decisive.get(key)
    ]
    if differing:
        raise ResumeError(
            f"{path.name} belongs to a run with other settings: {'; '.join(differing)}; set them back, or start anew"
        )
    return state
