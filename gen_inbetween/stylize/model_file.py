"""Files of learnt styles: safetensors, bound to the sequence that they were learnt on.

A file holds the best network and, while learning goes on, all that is needed to go on exactly. Its header says which
film and which painted frames it belongs to: a style that was learnt on a few patches of one sequence is no style for
others, and who opens it for another is told so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field, TypeAdapter
from safetensors import SafetensorError
from typing_extensions import TypedDict

from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.files import save_tensors
from gen_inbetween.runtime.trust.limits import check_weights, checked, open_tensors, parse_object
from gen_inbetween.stylize.network import StyleNetwork
from gen_inbetween.stylize.sequence import Sequence256
from gen_inbetween.stylize.settings import Look, StyleError, StyleSettings

if TYPE_CHECKING:
    from gen_inbetween.stylize.learner import Learner

HEADER = "gen_inbetween_style"
DRAWING = ("tile", "carry")  # settings that change nothing of what is learnt
WHILE_LEARNING = ("minutes", "steps", "patience", "check_every", *DRAWING)  # those that may change as it goes on


class Said(TypedDict):
    """What the header of a file says."""

    film: str
    keys: str
    inputs: Literal[3, 6]
    settings: dict[str, Any]
    seed: int
    step: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    looks: list[Any]
    finished: bool


SAID: TypeAdapter[Said] = TypeAdapter(Said)
LOOKS: TypeAdapter[list[Look]] = TypeAdapter(list[Look])


def header_of(path: Path) -> dict[str, Any]:
    """What a file says of itself. StyleError: it is no file of a style."""
    try:
        with open_tensors(path) as file:
            text = (file.metadata() or {})[HEADER]
            names = list(file.keys())
        content = checked(SAID, parse_object(text, HEADER), HEADER)
        looks = LOOKS.validate_python(content["looks"])  # of learning that diverged some are NaN
        settings = from_mapping(StyleSettings, content["settings"])
        if not any(name.startswith("best.") for name in names):
            raise KeyError("best")
    except (SafetensorError, KeyError, OSError, ValueError) as error:
        raise StyleError(f"{path} is no style that `inbetween stylize` learnt: name another file") from error
    return {**content, "looks": looks, "settings": settings}


def save(learner: Learner, sequence: Sequence256, path: Path, *, finished: bool) -> None:
    """Write the best network and the state to go on from; `finished`: learning came to its end, or was ended."""
    said = {
        **sequence._asdict(),
        "inputs": learner.inputs,
        "settings": asdict(learner.settings),
        "seed": learner.seed,
        "step": learner.step,
        "seconds": round(learner.seconds, 3),
        "looks": [asdict(look) for look in learner.looks],
        "finished": finished,
    }
    save_tensors(path, {name: value.cpu() for name, value in learner.state().items()}, {HEADER: json.dumps(said)})


def go_on(learner: Learner, sequence: Sequence256, path: Path) -> bool:
    """Load what a file holds of the same sequence, settings and seed; whether there is nothing left to learn.

    Where minutes, steps or patience are other ones, a file that is finished goes on as far as these reach; one that has
    taken more steps than are asked for begins anew.
    StyleError: the file is damaged, no style, or a folder.
    """
    if path.is_dir():
        raise StyleError(f"{path} is a folder: expected the name of a file for the style")
    if not path.is_file():
        return False
    said = header_of(path)
    mine, theirs = learner.settings, said["settings"]
    same = (said["film"], said["keys"], said["seed"]) == (*sequence, learner.seed)
    if not same or said["step"] > mine.steps or _all_but(WHILE_LEARNING, mine) != _all_but(WHILE_LEARNING, theirs):
        return False
    try:
        tensors = _tensors(path)
        _check_best(tensors, path)
        learner.load(tensors, said["step"], said["seconds"], said["looks"])
    except (RuntimeError, ValueError, LookupError, TypeError) as error:
        raise StyleError(f"{path} is damaged: delete it, and learning begins anew") from error
    return learner.finished or (bool(said["finished"]) and _all_but(DRAWING, mine) == _all_but(DRAWING, theirs))


def open_style(path: Path, device: torch.device) -> tuple[StyleNetwork, dict[str, Any]]:
    """The network of a file, and what the file says of itself. StyleError: no such file, or it is damaged."""
    if not path.is_file():
        raise StyleError(f"no such file: {path}")
    said = header_of(path)
    settings = said["settings"]
    network = StyleNetwork(said["inputs"], settings.widths, settings.blocks, settings.head_kernel)
    try:
        network.load_state_dict(_check_best(_tensors(path), path))
    except (RuntimeError, ValueError) as error:
        raise StyleError(f"{path} is damaged: its tensors are not those of its settings") from error
    return network.to(device).eval().requires_grad_(False), said


def _check_best(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The best network; UntrustedError: it is made of no weights."""
    best = {name.removeprefix("best."): tensor for name, tensor in tensors.items() if name.startswith("best.")}
    check_weights({name: value for name, value in best.items() if not name.endswith("num_batches_tracked")}, path)
    return best


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    with open_tensors(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _all_but(names: Sequence[str], settings: StyleSettings) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if name not in names}
