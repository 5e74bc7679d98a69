"""Backward motion as LoRA files of PEFT and of diffusers.

    base_model.model.<layer>.lora_A.weight      adapter_model.safetensors, with adapter_config.json beside it
    unet.<layer>.lora_A.weight, unet.<layer>.lora.down.weight      pytorch_lora_weights.safetensors

The update is scale * lora_B @ lora_A. Its scale, alpha / rank, is not in the tensors: it is read from the file's own
records, and a file without any is refused, because a guessed scale would load and be wrong.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

import torch.nn.functional as F
from pydantic import ConfigDict, Field, TypeAdapter
from torch import Tensor
from typing_extensions import NotRequired, TypedDict

from gen_inbetween.diffusion.motion_files import MotionError, MotionInfo, as_motion_errors, open_weights
from gen_inbetween.runtime.hashing import state_sha256
from gen_inbetween.runtime.trust.limits import (
    LARGEST_WEIGHT,
    check_weights,
    checked,
    parse_object,
    read_object,
    shorten,
)

Alpha = Annotated[float, Field(ge=-LARGEST_WEIGHT, le=LARGEST_WEIGHT, allow_inf_nan=False)]
_PREFIX = r"^(?:base_model\.model\.)?(?:unet\.)?(?P<layer>.+?)"
_FACTOR = re.compile(_PREFIX + r"\.(?:lora_(?P<factor>[AB])(?:\.default)?|lora\.(?P<side>down|up))\.weight$")
_ALPHA = re.compile(_PREFIX + r"(?:\.lora)?\.alpha$")


class LoraConfig(TypedDict):
    """What is read of PEFT's configuration."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    r: NotRequired[Annotated[int, Field(ge=1, le=100_000)] | None]
    lora_alpha: NotRequired[Alpha | None]
    alpha_pattern: NotRequired[dict[str, Alpha] | None]
    rank_pattern: NotRequired[dict[str, Annotated[int, Field(ge=1, le=100_000)]] | None]
    use_rslora: NotRequired[bool | None]
    use_dora: NotRequired[bool | None]
    base_model_name_or_path: NotRequired[str | None]


CONFIG_SHAPE: TypeAdapter[LoraConfig] = TypeAdapter(LoraConfig)


def check_pattern(pattern: str, path: Path) -> None:
    """MotionError for a pattern that is no regular expression, or one that may take for ever: groups repeated."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise MotionError(f"{path}: {shorten(pattern)!r} is no pattern of layers: {error}") from error
    if len(pattern) > 1000 or re.search(r"\)\s*[*+{]", pattern) or len(re.findall(r"[*+{]", pattern)) > 8:
        raise MotionError(f"{path}: {shorten(pattern)!r} is too involved for a pattern of layers: name them")


def is_lora(names: list[str]) -> bool:
    """Whether tensors of these names are a LoRA's."""
    return any(_FACTOR.match(name) for name in names)


def read_lora(path: Path) -> tuple[dict[str, Tensor], MotionInfo]:
    """One of the files above -> `<layer>.lora_A.weight` (rank, in) and `.lora_B.weight` (out, rank), one alpha for all.

    Layers with a scale of their own have it folded into lora_B; smaller ranks are filled with zeros: both exact.
    MotionError: no alpha anywhere, half of a pair missing, DoRA, or tensors which are not LoRA.
    """
    with open_weights(path) as weights, as_motion_errors():
        tensors = {name: weights.get_tensor(name) for name in weights.keys()}
        config = _config(path, weights.metadata() or {})
        check_weights({name: tensor for name, tensor in tensors.items() if not _ALPHA.match(name)}, path)
    downs, ups, alphas = _sort(tensors, path)
    scales = {layer: _scale(layer, down.shape[0], alphas, config, path) for layer, down in downs.items()}
    scale, rank = next(filter(None, scales.values()), 0.0), max(down.shape[0] for down in downs.values())
    state = {}
    for layer, down in downs.items():
        up = ups[layer] if scales[layer] == scale else ups[layer] * (scales[layer] / scale)
        state[f"{layer}.lora_A.weight"] = F.pad(down, (0, 0, 0, rank - down.shape[0]))
        state[f"{layer}.lora_B.weight"] = F.pad(up, (0, rank - up.shape[1]))
    base_model = config.get("base_model_name_or_path")
    return state, MotionInfo("lora", base_model, None, rank, scale * rank, state_sha256(state), config)


def _sort(tensors: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, float]]:
    downs: dict[str, Tensor] = {}
    ups: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    for name, tensor in tensors.items():
        factor, alpha = _FACTOR.match(name), _ALPHA.match(name)
        if factor:
            half = downs if factor["factor"] == "A" or factor["side"] == "down" else ups
            half[factor["layer"]] = tensor
        elif alpha:
            if tensor.numel() != 1 or tensor.is_complex() or not abs(float(tensor)) <= LARGEST_WEIGHT:
                raise MotionError(f"{path}: expected {shorten(name)} as one number, got {shorten(repr(tensor))}")
            alphas[alpha["layer"]] = float(tensor)
        else:
            raise MotionError(
                f"{path} holds {shorten(name)}, which is not a plain LoRA tensor (DoRA and biases are not read)"
            )
    halves = sorted(downs.keys() ^ ups.keys())
    if halves:
        raise MotionError(f"{path} holds only one of lora_A and lora_B for {halves[0]}")
    for layer in downs:
        if downs[layer].ndim != 2 or ups[layer].ndim != 2 or not downs[layer].shape[0]:
            shapes = tuple(downs[layer].shape), tuple(ups[layer].shape)
            raise MotionError(f"{path}: expected two matrices of a rank for {shorten(layer)}, got {shapes}")
        if downs[layer].shape[0] != ups[layer].shape[1]:
            shapes = tuple(downs[layer].shape), tuple(ups[layer].shape)
            raise MotionError(f"{path}: lora_A {shapes[0]} and lora_B {shapes[1]} of {layer} do not share a rank")
    return downs, ups, alphas


def _config(path: Path, header: dict[str, str]) -> dict[str, Any]:
    """PEFT's adapter_config.json, or the same record as diffusers writes it into the header under `unet.`."""
    beside = path.parent / "adapter_config.json"
    if beside.is_file():
        config = read_object(beside)
    else:
        record = parse_object(header.get("lora_adapter_metadata", "{}"), f"{path}: its lora_adapter_metadata")
        config = {key.removeprefix("unet."): value for key, value in record.items()}
    checked(CONFIG_SHAPE, config, str(beside if beside.is_file() else path))
    for pattern in (*(config.get("alpha_pattern") or ()), *(config.get("rank_pattern") or ())):
        check_pattern(pattern, path)
    if config.get("use_dora"):
        raise MotionError(f"{path} is a DoRA; only plain LoRA can be loaded as backward motion")
    return config


def _scale(layer: str, rank: int, alphas: dict[str, float], config: dict[str, Any], path: Path) -> float:
    alpha = alphas.get(layer, _of_layer(layer, config.get("alpha_pattern"), config.get("lora_alpha")))
    if alpha is None:
        raise MotionError(
            f"{path} does not say its alpha, and any default could be wrong: put an adapter_config.json with "
            '{"r": ..., "lora_alpha": ...} beside it'
        )
    recorded_rank = _of_layer(layer, config.get("rank_pattern"), config.get("r"))
    if recorded_rank not in (None, rank):
        raise MotionError(f"{path}: its configuration says rank {recorded_rank} for {layer}, its tensors have {rank}")
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _of_layer(layer: str, pattern: dict[str, Any] | None, otherwise: Any) -> Any:
    """PEFT's patterns are regular expressions for the end of a layer's name."""
    matches = (value for key, value in (pattern or {}).items() if re.match(rf"(.*\.)?({key})$", layer))
    return next(matches, otherwise)
