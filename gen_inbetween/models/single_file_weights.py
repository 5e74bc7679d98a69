"""Weights of single-file checkpoints in diffusers' classes.

    StableVideoDiffusionPipeline(**read_components(Path("svd_xt.safetensors"), torch.float16))

Tensors are read one by one, renamed (`original_names.py`) and cast; nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gen_inbetween.models.original_names import PREFIXES, Origin, origin
from gen_inbetween.models.single_file import read_single_file
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.trust.limits import open_tensors

SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "leading",
    "timestep_type": "continuous",
    "steps_offset": 1,
    "use_karras_sigmas": True,
    "sigma_min": 0.002,
    "sigma_max": 700.0,
}


def build_part(part: str, config: dict[str, Any]) -> nn.Module:
    """The part of this configuration without weights, on the meta device; its buffers are real."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    made: Any
    with init_empty_weights(include_buffers=False):
        if part == "unet":
            made = UNetSpatioTemporalConditionModel(**config)
        elif part == "vae":
            made = AutoencoderKLTemporalDecoder(**config)
        else:
            made = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
    model: nn.Module = made
    return model


def origins(part: str, model: nn.Module, config: dict[str, Any]) -> dict[str, Origin]:
    """Where each tensor of a part's state dict stands in a file, prefix included."""
    blocks = len(config.get("block_out_channels", ()))
    layers = config.get("layers_per_block", 0)
    attends = tuple(name.startswith("CrossAttn") for name in config.get("up_block_types", ()))
    found = {name: origin(part, name, layers=layers, blocks=blocks, attends=attends) for name in model.state_dict()}
    return {name: Origin(PREFIXES[part] + each.name, each.change, each.third) for name, each in found.items()}


def changed(tensor: Tensor, how: Origin) -> Tensor:
    """A tensor of the file as diffusers has it."""
    if how.change == "squeeze":
        return tensor[:, :, 0, 0] if tensor.ndim == 4 else tensor
    if how.change == "transpose":
        return tensor.T.contiguous()
    return tensor.chunk(3)[how.third].clone() if how.change == "third" else tensor


def load_part(path: Path, part: str, config: dict[str, Any], dtype: torch.dtype) -> nn.Module:
    """A part with its weights, read one tensor at a time. ModelError: one is missing, or of another shape."""
    model = build_part(part, config)
    places = origins(part, model, config)
    weights: dict[str, Tensor] = {}
    with open_tensors(path) as file:
        there = set(file.keys())
        missing = [how.name for how in places.values() if how.name not in there and "quant_conv" not in how.name]
        if missing:
            raise ModelError(f"{path} lacks {len(missing)} tensors, {missing[0]} the first: get it again")
        for name, old in model.state_dict().items():
            how = places[name]
            if how.name in there:
                tensor = changed(file.get_tensor(how.name), how)
            else:  # an encoder whose last layer was merged with it
                tensor = torch.zeros(old.shape) if old.ndim == 1 else torch.eye(len(old))[..., None, None]
            if tensor.shape != old.shape:
                raise ModelError(f"{path}: {how.name} has shape {tuple(tensor.shape)}, expected {tuple(old.shape)}")
            if not tensor.is_floating_point():
                raise ModelError(f"{path}: {how.name} holds {tensor.dtype}, which are no weights; get it again")
            weights[name] = tensor.to(dtype)
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def read_components(path: Path, dtype: torch.dtype) -> dict[str, Any]:
    """What a pipeline of a checkpoint is made of, on the CPU. ModelError: as `read_single_file` and `load_part`."""
    from diffusers import EulerDiscreteScheduler
    from transformers import CLIPImageProcessor

    configs = read_single_file(path)
    size = configs["image_encoder"]["image_size"]
    return {
        "scheduler": EulerDiscreteScheduler(**SCHEDULER),
        "feature_extractor": CLIPImageProcessor(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}
        ),
    } | {part: load_part(path, part, config, dtype) for part, config in configs.items()}
