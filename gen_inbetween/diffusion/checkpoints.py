"""Backward motion loaded into a UNet, saved from it, converted between formats.

    info = load_motion(pipe.unet, "backward_motion.safetensors")
    save_motion(pipe.unet, "mine.safetensors", {"base_model": "stabilityai/stable-video-diffusion-img2vid"})

One entry reads three formats into one internal form, a difference from the base (motion.motion_state_dict):
our `backward_motion.safetensors`, the authors' folder with a whole tuned UNet, and LoRA files of PEFT or diffusers.
`unet.save_pretrained` would mix the update's tensors with the base model's: `save_motion` is the way to keep one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gen_inbetween.diffusion.lora_files import is_lora, read_lora
from gen_inbetween.diffusion.motion import (
    get_motion_scale,
    has_backward_motion,
    load_motion_state_dict,
    motion_processors,
    motion_state_dict,
    rotates,
    set_motion_scale,
)
from gen_inbetween.diffusion.motion_files import (
    FORMAT_VERSION,
    HEADER,
    TRAINED_LAYER,
    UNET_FILES,
    UNROTATED_LAYER,
    MotionError,
    MotionInfo,
    find_motion_file,
    open_weights,
    read_difference,
    read_tuned_unet,
)
from gen_inbetween.runtime.checks import check_real
from gen_inbetween.runtime.files import save_tensors
from gen_inbetween.runtime.hashing import state_sha256
from gen_inbetween.runtime.hub import MOTION_FILE
from gen_inbetween.runtime.manifest import versions
from gen_inbetween.runtime.outputs import check_output

FORMAT = {"format": "pt"}  # other loaders insist on it in the header


def load_motion(
    unet: nn.Module,
    source: str | Path,
    *,
    base: str | Path | None = None,
    kernel: str = "sdpa",
    motion_scale: float = 1.0,
) -> MotionInfo:
    """Read a backward motion of any of the three formats and install it on `unet`, in place of one it has.

    source: a file, or a folder which holds one; base: see `motion_files.read_tuned_unet`, for the authors' format only;
    kernel: "sdpa" or "xformers", as in `attention.open_kernel`; motion_scale: as in `motion.set_motion_scale`.
    Nothing changes when the file does not fit: MotionError names a layer that is missing, too many or of another shape.
    """
    check_real("motion_scale", motion_scale)
    state, info = _read(Path(os.path.expanduser(source)), base)
    try:
        load_motion_state_dict(unet, state, alpha=info.alpha, kernel=kernel, rotate=info.rotate)
    except ValueError as error:
        raise MotionError(f"{source} does not fit this UNet: {error}") from error
    set_motion_scale(unet, motion_scale)
    return info


def save_motion(
    unet: nn.Module,
    path: str | Path,
    metadata: Mapping[str, Any],
    *,
    dtype: torch.dtype | None = torch.float16,
    overwrite: bool = False,
) -> MotionInfo:
    """Write the motion of `unet` as our file: the differences in `dtype`, everything about them in the header.

    dtype: None for the smallest that keeps every value. The motion's scale is not saved: the file is what was trained.
    metadata: `base_model` (required) and whatever else made it (steps, data, ...), JSON values; `num_frames` defaults
    to the UNet's. Added: format version, rank, alpha, rotate, package versions, SHA-256. MotionError: no motion, no
    base_model, or values that `dtype` cannot hold; files.OutputError: the file cannot be written, or is one of somebody
    else's and `overwrite` is not said.
    """
    if not has_backward_motion(unet):
        raise MotionError("this UNet has no backward motion to save: call add_backward_motion or load_motion first")
    check_output(path, overwrite=overwrite, manifest=False)
    state = motion_state_dict(unet)
    dtype = dtype or lossless_dtype(state.values())
    rank, alpha = _rank_and_alpha(unet, state)
    config: Any = unet.config
    record = {"num_frames": config.num_frames, **metadata, "rank": rank, "alpha": alpha, "rotate": rotates(unet)}
    return _write(Path(path), state, record, dtype)


def lossless_dtype(tensors: Iterable[Tensor]) -> torch.dtype:
    """float16 where it holds every value, else the tensors' own (one for all)."""
    tensors = list(tensors)
    return torch.float16 if all(torch.equal(t.half().to(t.dtype), t) for t in tensors) else tensors[0].dtype


def convert(
    source: str | Path,
    destination: str | Path,
    base: str | Path | None = None,
    *,
    dtype: torch.dtype = torch.float16,
    overwrite: bool = False,
) -> MotionInfo:
    """Any of the three formats -> our file at `destination` (or in it, when it is a folder); no UNet is built.

    The destination's MotionInfo is returned; its header records what it was converted from. OutputError: it is the
    source or the base, or was not made by this package and `overwrite` is not said.
    """
    path = Path(os.path.expanduser(destination))
    path = path / MOTION_FILE if path.is_dir() else path
    inputs = [Path(os.path.expanduser(file)) for file in (source, base) if file is not None]
    inputs += [file for folder in inputs if folder.is_dir() for file in folder.rglob("*.safetensors")]
    check_output(path, inputs, overwrite=overwrite, manifest=False)
    state, info = _read(Path(os.path.expanduser(source)), base)
    record = {**info.metadata, "converted_from": info.format, "source_sha256": info.sha256}
    keys = ("base_model", "num_frames", "rank", "alpha", "rotate")
    return _write(path, state, {**record, **{key: getattr(info, key) for key in keys}}, dtype)


def export_unet(unet: nn.Module, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write base plus motion as one tuned UNet, `<folder>/unet/`, in the layout of the published checkpoint.

    The tuned tensors are float32 so that subtracting the base gives the difference back; the others stay as they are.
    The motion's scale is in them. MotionError: no motion, or one without rotation: whoever reads this layout rotates
    the attention map, which would be wrong here. OutputError: a UNet stands there that this did not write, and
    `overwrite` is not said.
    """
    if not has_backward_motion(unet):
        raise MotionError("this UNet has no backward motion to export: call add_backward_motion or load_motion first")
    if not rotates(unet):
        raise MotionError(
            "this motion was trained without rotation, and the published layout cannot say so: its readers would "
            f"rotate the attention map; keep it as {MOTION_FILE}"
        )
    path = Path(os.path.expanduser(folder)) / UNET_FILES[0]
    check_output(path, overwrite=overwrite, manifest=False)
    if not path.exists():
        check_output(path.with_name("config.json"), overwrite=overwrite, manifest=False)
    update = motion_state_dict(unet)
    rank, alpha = _rank_and_alpha(unet, update)
    scale = None if rank is None or alpha is None else alpha / rank
    motion_scale = get_motion_scale(unet)
    state: dict[str, Tensor] = {}
    for name, weight in unet.state_dict().items():
        if ".processor." in name:  # the update itself, which diffusers registers inside the attention layers
            continue
        delta = _delta(update, name, scale)
        tuned = weight if delta is None else weight.float() + motion_scale * delta.to(weight.device)
        state[name] = tuned.cpu().contiguous()
    save_tensors(path, state, FORMAT | {"gen_inbetween": "a whole tuned UNet"})
    save_config: Any = unet.save_config
    save_config(path.parent)
    return path.parent


def _read(source: Path, base: str | Path | None) -> tuple[dict[str, Tensor], MotionInfo]:
    path = find_motion_file(source)
    with open_weights(path) as weights:
        names, header = list(weights.keys()), weights.metadata() or {}
    if HEADER in header:
        state, info = read_difference(path)
    elif is_lora(names):
        state, info = read_lora(path)
    elif "conv_in.weight" in names:
        state, info = read_tuned_unet(path, base)
    else:
        raise MotionError(
            f"{path} holds no backward motion: expected our {MOTION_FILE} (with its header), a whole tuned SVD UNet "
            f"or a LoRA; its first tensor is {names[0] if names else 'absent, it is empty'}"
        )
    trained, trained_names = (TRAINED_LAYER, "to_v") if info.rotate else (UNROTATED_LAYER, "to_q, to_k, to_v")
    foreign = next((name for name in state if not trained.search(_layer(name))), None)
    if foreign:
        raise MotionError(
            f"{path} changes {foreign}; expected {trained_names} and to_out.0 of the temporal attn1 layers only"
        )
    return state, info


def _layer(name: str) -> str:
    """`<path>.to_v.lora_A.weight`, `<path>.to_v.weight`, `<path>.to_v.bias` -> `<path>.to_v`."""
    return name.rpartition(".")[0].removesuffix(".lora_A").removesuffix(".lora_B")


def _rank_and_alpha(unet: nn.Module, state: Mapping[str, Tensor]) -> tuple[int | None, float | None]:
    """Of the installed update; None, None when it is a full difference."""
    factor = next((tensor for name, tensor in state.items() if name.endswith(".lora_A.weight")), None)
    if factor is None:
        return None, None
    update: Any = next(iter(motion_processors(unet).values())).update_v
    return factor.shape[0], update.scale * factor.shape[0]


def _delta(update: Mapping[str, Tensor], name: str, scale: float | None) -> Tensor | None:
    """The float32 difference of the UNet's tensor `name`, or None where the motion leaves it alone."""
    if scale is None:
        return update[name].float() if name in update else None
    layer = name.removesuffix(".weight")
    if f"{layer}.lora_A.weight" not in update:
        return None
    return scale * update[f"{layer}.lora_B.weight"].float() @ update[f"{layer}.lora_A.weight"].float()


def _write(path: Path, state: Mapping[str, Tensor], record: Mapping[str, Any], dtype: torch.dtype) -> MotionInfo:
    if "base_model" not in record:
        raise MotionError('expected metadata to name the model this is a difference from: {"base_model": "<hub id>"}')
    tensors = {name: tensor.detach().cpu().to(dtype).contiguous() for name, tensor in state.items()}
    bad = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if bad:
        raise MotionError(f"{bad} is not finite in {dtype}: save it in torch.float32, or train it again if it diverged")
    installed = versions()
    header = {
        **record,
        "format_version": FORMAT_VERSION,
        "versions": {name: installed.get(name) for name in ("gen_inbetween", "torch", "diffusers")},
        "sha256": state_sha256(tensors),
    }
    save_tensors(path, tensors, FORMAT | {HEADER: json.dumps(header, sort_keys=True)})
    keys = ("base_model", "num_frames", "rank", "alpha", "rotate", "sha256")
    return MotionInfo("difference", **{key: header[key] for key in keys}, metadata=header)
