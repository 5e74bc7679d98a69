"""Single-file checkpoints of Stable Video Diffusion: recognised, refused, opened.

    open_single_file(Path("svd_xt.safetensors"), torch.float16)

Widths and depths are read off the tensors' shapes in the file's header; what no shape tells (heads, scheduler, scaling)
is as published. Nothing is downloaded, and no tensor is read before the whole file is known to fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gen_inbetween.models.original_names import PREFIXES, Origin, origin
from gen_inbetween.runtime.hashing import file_state
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.trust.limits import shorten

if TYPE_CHECKING:
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline

Shapes = Mapping[str, tuple[int, ...]]

PICKLES = (".ckpt", ".pt", ".pth", ".bin")
NATIVE = 96  # SVD's sample_size, which says 1024 x 576
HEAD, VISION_HEAD = 64, 80  # channels of an attention head
FRAMES = {"svd": 14, "svd_xt": 25}  # no tensor tells the two apart; the published files are named so
FOREIGN = (  # what the first name that matches makes of a file
    (r"(^|\.)(lora_|.*\.lora_)", "a LoRA"),
    (r"(model\.diffusion_model\.)?(transformer_blocks|blocks|patchify_proj)\.|.*scale_shift_table", "a transformer"),
    (r".*double_blocks\.", "a Flux or HunyuanVideo transformer"),
    (r"conditioner\.embedders\.1\.", "Stable Diffusion XL, which makes pictures"),
    (r"cond_stage_model\.", "Stable Diffusion 1 or 2, which makes pictures"),
    (r"(down_blocks|mid_block)\.", "one part in diffusers' layout; give the folder that has model_index.json in it"),
    (r"vision_model\.", "an image encoder alone"),
)
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


def read_single_file(path: Path) -> dict[str, dict[str, Any]]:
    """The configurations of "unet", "vae" and "image_encoder" of a checkpoint.

    ModelError: a pickle, half a file, another model, a part that is not there.
    """
    configs: dict[str, dict[str, Any]] = json.loads(_read(path, file_state(path)))
    return configs


@lru_cache(maxsize=8)
def _read(path: Path, state: tuple[int, ...]) -> str:
    """`state` is in the signature so that a file that was replaced is read anew."""
    shapes = read_shapes(path)
    check_kind(path, shapes)
    parts = {part: _part(shapes, prefix) for part, prefix in PREFIXES.items()}
    try:
        configs = {
            "unet": unet_config(parts["unet"], num_frames_of(path)),
            "vae": vae_config(parts["vae"]),
            "image_encoder": vision_config(parts["image_encoder"]),
        }
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise ModelError(
            f"{path} is no whole Stable Video Diffusion: it lacks {shorten(error)}; get it again"
        ) from error
    return json.dumps(configs)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, from the header. ModelError: no safetensors file, or not all of one."""
    if path.suffix.lower() in PICKLES:
        raise ModelError(
            f"{path} is a pickle, which can run any program: take the .safetensors of the same model, or convert it "
            "where you trust it"
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelError(
            f"{path} is no whole .safetensors file ({shorten(error, 120)}): expected a folder in diffusers' layout or "
            "a checkpoint such as svd_xt.safetensors; get it again"
        ) from error


def check_kind(path: Path, shapes: Shapes) -> None:
    """ModelError, unless these are the tensors of a whole Stable Video Diffusion; it says what they are of."""
    lacking = [part for part, prefix in PREFIXES.items() if not _part(shapes, prefix)]
    video = any(".time_stack." in name for name in _part(shapes, PREFIXES["unet"]))
    if "unet" in lacking or not video:
        what = next((what for pattern, what in FOREIGN for name in shapes if re.match(pattern, name)), None)
        if "backward" in path.name or all("attn1" in name for name in shapes):
            what = "a backward motion; give it as motion, and the model that it belongs to as model"
        raise ModelError(f"{path} is no Stable Video Diffusion: it holds {what or 'other tensors'}")
    if lacking:
        raise ModelError(
            f"{path} is no whole Stable Video Diffusion: it has no {' and no '.join(lacking)}; take svd_xt.safetensors"
        )
    if _part(shapes, PREFIXES["unet"]).get("label_emb.0.0.weight", (0, 3))[1] % 3:
        raise ModelError(
            f"{path} is no Stable Video Diffusion: it is told other things than rate and motion, as SV3D is"
        )
    if "decoder.mid.block_1.time_stack.in_layers.0.weight" not in _part(shapes, PREFIXES["vae"]):
        raise ModelError(f"{path} decodes pictures one by one (image_decoder): take the file without that in its name")


def _part(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def num_frames_of(path: Path) -> int:
    """Frames that the model was trained on, by the file's name: 14 for svd.safetensors, otherwise 25 as svd_xt."""
    return FRAMES["svd"] if re.match(r"svd(?![-_ ]?xt)", path.stem.lower()) else FRAMES["svd_xt"]


def unet_config(shapes: Shapes, num_frames: int) -> dict[str, Any]:
    """The UNet's configuration. KeyError: a tensor that it needs is missing."""
    inputs = 1 + max(int(found[1]) for name in shapes if (found := re.match(r"input_blocks\.(\d+)\.", name)))
    steps = [number for number in range(inputs) if f"input_blocks.{number}.0.op.weight" in shapes]
    layers = steps[0] - 1 if steps else inputs - 1
    firsts = [1 + block * (layers + 1) for block in range(len(steps) + 1)]
    widths = [shapes[f"input_blocks.{first}.0.out_layers.3.weight"][0] for first in firsts]
    attends = [f"input_blocks.{first}.1.norm.weight" in shapes for first in firsts]
    added = shapes["label_emb.0.0.weight"][1]
    names = [("CrossAttn" if attention else "", "BlockSpatioTemporal") for attention in attends]
    return {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": widths,
        "down_block_types": [f"{cross}Down{name}" for cross, name in names],
        "up_block_types": [f"{cross}Up{name}" for cross, name in reversed(names)],
        "layers_per_block": layers,
        "cross_attention_dim": shapes["middle_block.1.transformer_blocks.0.attn2.to_k.weight"][1],
        "transformer_layers_per_block": 1,
        "num_attention_heads": [max(1, width // HEAD) for width in widths],
        "addition_time_embed_dim": added // 3,
        "projection_class_embeddings_input_dim": added,
        "num_frames": num_frames,
        "sample_size": NATIVE,
    }


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """The VAE's configuration. KeyError: a tensor that it needs is missing."""
    blocks = 1 + max(int(found[1]) for name in shapes if (found := re.match(r"encoder\.down\.(\d+)\.", name)))
    layers = len({found[0] for name in shapes if (found := re.match(r"encoder\.down\.0\.block\.(\d+)\.", name))})
    return {
        "block_out_channels": [shapes[f"encoder.down.{number}.block.0.conv1.weight"][0] for number in range(blocks)],
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "layers_per_block": layers,
        "latent_channels": shapes["encoder.conv_out.weight"][0] // 2,
        "sample_size": 768,
        "scaling_factor": 0.18215,
        "force_upcast": True,
    }


def vision_config(shapes: Shapes) -> dict[str, Any]:
    """The image encoder's configuration. KeyError: a tensor that it needs is missing."""
    width, _, patch, _ = shapes["conv1.weight"]
    layers = {found[1] for name in shapes if (found := re.match(r"transformer\.resblocks\.(\d+)\.", name))}
    return {
        "hidden_size": width,
        "intermediate_size": shapes["transformer.resblocks.0.mlp.c_fc.weight"][0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, width // VISION_HEAD),
        "patch_size": patch,
        "image_size": round((shapes["positional_embedding"][0] - 1) ** 0.5) * patch,
        "projection_dim": shapes["proj"][1],
        "hidden_act": "gelu",
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
    with safe_open(path, framework="pt") as file:
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


def open_single_file(path: Path, dtype: torch.dtype) -> InbetweenPipeline:
    """The pipeline of a checkpoint, without backward motion, on the CPU. ModelError: as `read_single_file`."""
    from diffusers import EulerDiscreteScheduler
    from transformers import CLIPImageProcessor

    from gen_inbetween.diffusion.pipeline import InbetweenPipeline

    configs = read_single_file(path)
    parts = {part: load_part(path, part, config, dtype) for part, config in configs.items()}
    size = configs["image_encoder"]["image_size"]
    processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    return InbetweenPipeline(**parts, scheduler=EulerDiscreteScheduler(**SCHEDULER), feature_extractor=processor)
