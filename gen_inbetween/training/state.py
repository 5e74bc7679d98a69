"""Training checkpoints (update, optimizer, schedule, EMA) and resuming from them.

A checkpoint never holds the UNet. For SVD it is 300 MB (100 of update, 200 of AdamW, float32), as LoRA 10 MB. It needs
no random state: draws depend on (seed, step) alone (`sample_order.py`), and the step is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.trust.limits import check_archive

_CHECKPOINT = re.compile(r"checkpoint_(\d+)\.pt")


class ResumeError(ValueError):
    """A checkpoint that cannot be gone on from; the message says what differs and what to do."""


@torch.no_grad()
def fill(unet: nn.Module, update: Mapping[str, Tensor]) -> None:
    """Copy an update, named as in `motion_state_dict`, into the one that is installed; the parameters stay the same."""
    for name, value in motion_state_dict(unet).items():
        value.copy_(update[name])


@dataclass
class TrainingState:
    """The objects whose state a checkpoint holds, and what run they belong to."""

    unet: nn.Module
    parts: Mapping[str, Any]  # optimizer, schedule, gradient scaler: what has state_dict and load_state_dict
    ema: EMAModel | None  # of `learning`, the exponential moving average that is validated and saved
    settings: Mapping[str, Any]  # the settings that decide the weights
    base: Mapping[str, str]  # the model the update belongs to, by name and hash
    clips: str = ""  # hash of what tells the clips from others: their number decides the order of samples

    @property
    def learning(self) -> list[nn.Parameter]:
        """The parameters that are trained."""
        return [parameter for parameter in self.unet.parameters() if parameter.requires_grad]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged update, if there is one, in the UNet for the time of a `with`."""
        if self.ema is None:
            yield
            return
        self.ema.store(self.learning)
        self.ema.copy_to(self.learning)
        try:
            yield
        finally:
            self.ema.restore(self.learning)

    def save(self, folder: str | Path, step: int, *, keep: int = 2) -> Path:
        """Write `checkpoint_<steps done>.pt`, whole or not at all; of older ones the last `keep` - 1 stay."""
        state = {
            "step": step,
            "settings": dict(self.settings),
            "base": dict(self.base),
            "clips": self.clips,
            "update": {name: value.cpu() for name, value in motion_state_dict(self.unet).items()},
            "ema": None if self.ema is None else self.ema.state_dict(),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }
        return write_checkpoint(folder, state, keep=keep)

    def restore(self, state: Mapping[str, Any]) -> int:
        """Put in what `read_checkpoint` returned; gives the steps done. ResumeError: of another base model or clips."""
        if state["base"] != self.base:
            raise ResumeError(f"the checkpoint was trained on {state['base']}, this model is {self.base}")
        if state.get("clips", self.clips) != self.clips:  # checkpoints of earlier versions do not say
            raise ResumeError(
                "the checkpoint was trained on other clips than data gives now (files were added, removed or "
                "changed, or are drawn by another version): put them back, or start anew"
            )
        fill(self.unet, state["update"])
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
            self.ema.to(self.learning[0].device)
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


def save_parts(path: Path, parts: Mapping[str, Any], settings: Mapping[str, Any], **more: Any) -> None:
    """One checkpoint that a run overwrites, whole or not at all: state of the parts, deciding settings, and more."""
    state = {**more, "settings": dict(settings), **{name: part.state_dict() for name, part in parts.items()}}
    with replaced(path) as temporary:
        torch.save(state, temporary)


def restore_parts(path: Path, parts: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put the state that `save_parts` wrote into the parts and return it; {} where no checkpoint is.

    Raises:
        ResumeError: it cannot be read, or belongs to a run with other settings.
    """
    if not path.exists():
        return {}
    state = read_checkpoint(path, settings)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state


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
    earlier = checkpoints(folder)
    if resume is None and earlier:
        raise ResumeError(
            f"{folder} holds an earlier run (at step {earlier[-1][0]}): give --resume latest to go on with it, or "
            "output=... with another folder"
        )
    if resume == "latest":
        return earlier[-1][1] if earlier else None
    if resume is not None and not Path(resume).is_file():
        raise ResumeError(f"no checkpoint at {resume}; expected latest or one of {[path.name for _, path in earlier]}")
    return None if resume is None else Path(resume)


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The state in a checkpoint; ResumeError where it cannot be read or belongs to a run with other settings."""
    try:
        check_archive(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = dict(state["settings"])
    except Exception as error:  # a pickle that is cut off or is something else fails in many ways
        raise ResumeError(f"{path} is not a checkpoint that can be read: {error}; take an earlier one") from error
    check_settings(path, before, settings)
    return state


def check_settings(path: Path, before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """ResumeError unless the settings that a checkpoint was written with are those of this run."""
    differing = [
        f"{key} was {before.get(key)!r}, is now {settings.get(key)!r}"
        for key in sorted(before.keys() | settings.keys())
        if before.get(key) != settings.get(key)
    ]
    if differing:
        raise ResumeError(
            f"{path.name} belongs to a run with other settings: {'; '.join(differing)}; set them back, or start anew"
        )
