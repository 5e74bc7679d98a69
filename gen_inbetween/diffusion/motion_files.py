"""Motion files: our own format, and the published tuned UNet.

Only tensors are read here; no UNet is built. A motion is a difference from a base model, in the names of
`motion.motion_state_dict`. Ours is stored as such. The authors publish a whole tuned 14-frame UNet instead, so the
difference is taken tensor by tensor between mapped files:

    delta = float32(tuned) - float32(base)    for to_v.weight, to_out.0.weight and to_out.0.bias of the temporal attn1
(keyframe_interpolation.py of jeanne-wang/svd_keyframe_interpolation does the same with three UNets in memory).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError
from torch import Tensor
from typing_extensions import NotRequired, TypedDict

from gen_inbetween.runtime.hashing import state_sha256
from gen_inbetween.runtime.hub import HUB_IDS, MODELS_VARIABLE, MOTION_FILE, find_file
from gen_inbetween.runtime.trust.limits import (
    LARGEST_WEIGHT,
    UntrustedError,
    check_weights,
    checked,
    open_tensors,
    parse_object,
    read_object,
    shorten,
)

HEADER = "backward_motion"  # the key of our JSON in a safetensors header
FORMAT_VERSION = 2  # 2 says whether the motion rotates; of 1, all do
LORA_FILES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
UNET_FILES = tuple(
    f"{folder}diffusion_pytorch_model{variant}.safetensors" for folder in ("unet/", "") for variant in ("", ".fp16")
)
_LAYER = r"(^|\.)temporal_transformer_blocks\.\d+\.attn1\."
TRAINED_LAYER = re.compile(_LAYER + r"(to_v|to_out\.0)$")
UNROTATED_LAYER = re.compile(_LAYER + r"(to_q|to_k|to_v|to_out\.0)$")  # what may be tuned without rotation


class MotionError(ValueError):
    """A motion file that cannot be used. One sentence says what was expected, what came and what to do."""


class MissingMotionError(MotionError):
    """Method gi was asked of a model without backward motion; the message says where to get or how to train one.

    beside: a motion file that lies with the model and only has to be loaded.
    """

    def __init__(self, model: str = "this model", beside: Path | None = None) -> None:
        remedy = (
            f"One lies beside it: `pipe.load_motion({str(beside)!r})`, or motion={str(beside)!r}."
            if beside
            else "Download the published checkpoint (the README of "
            "https://github.com/jeanne-wang/svd_keyframe_interpolation names its Google Drive folder), run `inbetween "
            f"convert FOLDER {MOTION_FILE}` once, and give that file as motion, or to `pipe.load_motion`; or train one "
            "with train/finetune_backward.py."
        )
        super().__init__(
            f"method gi needs a backward motion, and {model} has none loaded. {remedy} Methods trf and vibid need none."
        )


@dataclass(frozen=True)
class MotionInfo:
    """Where a loaded motion comes from. `rank` and `alpha` are None for a full difference."""

    format: str  # "difference" (ours), "tuned unet" (the authors'), "lora"
    base_model: str | None
    num_frames: int | None  # the clip length it was trained at; it may be used at others
    rank: int | None
    alpha: float | None
    sha256: str  # of the tensors, whatever the file around them
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    rotate: bool = True  # attends through the rotated attention map; only our own file can say otherwise

    def __str__(self) -> str:
        update = f"LoRA of rank {self.rank}, alpha {self.alpha:g}" if self.rank and self.alpha else "full difference"
        rotation = "" if self.rotate else " without rotation"
        frames = f", {self.num_frames} frames" if self.num_frames else ""
        return f"{update}{rotation}, from {self.base_model or 'an unnamed base'}{frames}, sha256 {self.sha256[:12]}"


def find_motion_file(source: Path) -> Path:
    """The motion file at `source`, or the one in that folder. MotionError: there is none."""
    if source.is_dir():
        names = (MOTION_FILE, *UNET_FILES, *LORA_FILES)
        file = next((source / name for name in names if (source / name).is_file()), None)
        if file is None:
            raise MotionError(f"folder {source} holds no backward motion: expected one of {', '.join(names)}")
        return file
    if not source.is_file():
        raise MotionError(f"no motion file or folder at {source}")
    return source


def check_motion_file(source: str | Path) -> None:
    """MotionError where a motion file is missing, or no safetensors file: found before a model is opened."""
    with open_weights(find_motion_file(Path(os.path.expanduser(source)))):
        pass


@contextmanager
def open_weights(path: Path) -> Iterator[Any]:
    """`open_tensors` with one clear error for a file that is missing, truncated, or not safetensors at all."""
    try:
        with open_tensors(path) as weights:
            yield weights
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError) as error:  # safetensors' own among them
        if isinstance(error, MotionError):
            raise
        if not path.is_file():
            raise MotionError(f"no such file: {path}") from error
        raise MotionError(f"{path} is not a whole safetensors file: {_what_it_is(path)}") from error


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "it is empty"
    if start.lstrip()[:1] == b"<":
        return "it is a web page; the download link gave a page and not the file"
    if start.startswith((b"PK", b"\x80")):
        return "it is an archive or a pickle; unpack it, or save the weights with safetensors"
    if start.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer; run `git lfs pull`"
    return "it is truncated or of another format; download it again"


class MotionVersion(TypedDict):
    """The part of our JSON in the header by which a later version of it is told."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    format_version: Annotated[int, Field(ge=1)]


class MotionHeader(MotionVersion):
    """What our JSON in the header says; what else stands in it is kept as it is."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    base_model: str | None
    num_frames: Annotated[int, Field(ge=1, le=100_000)] | None
    rank: Annotated[int, Field(ge=1, le=100_000)] | None
    alpha: Annotated[float, Field(ge=-LARGEST_WEIGHT, le=LARGEST_WEIGHT, allow_inf_nan=False)] | None
    rotate: NotRequired[bool]
    sha256: str


VERSION_SHAPE: TypeAdapter[MotionVersion] = TypeAdapter(MotionVersion)
HEADER_SHAPE: TypeAdapter[MotionHeader] = TypeAdapter(MotionHeader)


@contextmanager
def as_motion_errors() -> Iterator[None]:
    """Whatever is wrong with a file from a stranger is a MotionError."""
    try:
        yield
    except UntrustedError as error:
        raise MotionError(str(error)) from error


def read_difference(path: Path) -> tuple[dict[str, Tensor], MotionInfo]:
    """Our own file. MotionError: a later format version, or tensors other than the header's hash says."""
    where = f"{path}: its header"
    with open_weights(path) as weights, as_motion_errors():
        header = parse_object((weights.metadata() or {})[HEADER], where)
        version = checked(VERSION_SHAPE, header, where)["format_version"]
        if version > FORMAT_VERSION:
            raise MotionError(f"{path} has format version {version}; this release reads {FORMAT_VERSION}: update it")
        checked(HEADER_SHAPE, header, where)
        state = {name: weights.get_tensor(name) for name in weights.keys()}
        sha256 = state_sha256(state)
        if sha256 != header["sha256"]:
            raise MotionError(
                f"{path} is damaged: its tensors do not have the SHA-256 its header records; get it again"
            )
        check_weights(state, path)
    keys = ("base_model", "num_frames", "rank", "alpha")
    recorded = {key: header[key] for key in keys} | {"rotate": header.get("rotate", True)}
    return state, MotionInfo("difference", **recorded, sha256=sha256, metadata=header)


def read_tuned_unet(path: Path, base: str | Path | None = None) -> tuple[dict[str, Tensor], MotionInfo]:
    """The authors' file, a whole UNet with tuned temporal values and outputs, minus its 14-frame base.

    base: folder or hub id of the model it was tuned from (default: SVD's 14 frames); it is not downloaded.
    Returns float32 differences. MotionError: no base on this machine, or another base than the one it was tuned from.
    """
    base_name = HUB_IDS["svd"] if base is None else str(base)
    base_path = find_file(base_name, UNET_FILES)
    if base_path is None:
        raise MotionError(
            f"{path} is a whole tuned UNet, and its base is not on this machine: no UNet weights in {base_name}. Give "
            f"the folder of the 14-frame SVD as base, or put it at ${MODELS_VARIABLE}/svd, or fetch it with `hf "
            f"download {HUB_IDS['svd']} unet/config.json unet/diffusion_pytorch_model.fp16.safetensors`"
        )
    frames, base_frames = _num_frames(path), _num_frames(base_path)
    if frames and base_frames and frames != base_frames:
        raise MotionError(f"wrong base for {path}: it was tuned at {frames} frames, {base_name} makes {base_frames}")
    with open_weights(path) as tuned, open_weights(base_path) as origin, as_motion_errors():
        state = _subtract(tuned, origin, path, base_name)
        check_weights(state, path)
    folder = Path(os.path.expanduser(base_name))
    recorded = folder.resolve().name if folder.is_dir() else base_name  # a path says nothing on another machine
    return state, MotionInfo("tuned unet", recorded, frames or base_frames, None, None, state_sha256(state))


def _subtract(tuned: Any, origin: Any, path: Path, base_name: str) -> dict[str, Tensor]:
    names = [name for name in tuned.keys() if TRAINED_LAYER.search(name.rpartition(".")[0])]
    absent = sorted(set(names) - set(origin.keys()))
    if not names or absent:
        lack = f"{base_name} lacks {absent[0]}" if names else "it holds no temporal attn1 layers"
        raise MotionError(f"{path} is not a UNet tuned from {base_name}: {lack}")
    state = {}
    for name in names:
        if name.endswith("to_v.weight"):
            _check_frozen(tuned, origin, name.replace("to_v.weight", "to_q.weight"), path, base_name)
        after, before = tuned.get_tensor(name), origin.get_tensor(name)
        check_weights({name: after}, path)
        if after.shape != before.shape:
            raise MotionError(
                f"wrong base for {path}: {name} is {tuple(after.shape)}, in {base_name} {tuple(before.shape)}"
            )
        # A half-precision UNet was tuned from the rounded base; subtracting the unrounded one would store the rounding.
        state[name] = after.float() - before.to(after.dtype).float()
    if not any(delta.any() for delta in state.values()):
        raise MotionError(f"{path} equals {base_name} in every temporal layer: it was not tuned")
    if not any(delta.any() for name, delta in state.items() if name.endswith(".bias")):
        state = {name: delta for name, delta in state.items() if not name.endswith(".bias")}
    return state


def _check_frozen(tuned: Any, origin: Any, name: str, path: Path, base_name: str) -> None:
    """Queries stay frozen in training, so they tell the base: half precision moves them by 0.05 %, not by 1 %."""
    if name not in tuned.keys() or name not in origin.keys():
        return
    after, before = tuned.get_tensor(name).float(), origin.get_tensor(name).float()
    if after.shape != before.shape or (after - before).norm() > 0.01 * before.norm():
        raise MotionError(f"wrong base for {path}: its frozen {name} is not {base_name}'s; give what it was tuned from")


def _num_frames(weights_path: Path) -> int | None:
    config = weights_path.parent / "config.json"
    with as_motion_errors():
        num_frames = read_object(config).get("num_frames") if config.is_file() else None
    if num_frames is not None and (not isinstance(num_frames, int) or isinstance(num_frames, bool)):
        raise MotionError(f"{config}: expected num_frames as a whole number, got {shorten(repr(num_frames))}")
    return num_frames
