"""Single-file checkpoints of Stable Video Diffusion: recognised or refused, their configurations.

    read_single_file(Path("svd_xt.safetensors"))["unet"]["block_out_channels"]

Widths and depths are read off the tensors' shapes in the file's header; what no shape tells (heads, scaling) is as
published. No tensor is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from gen_inbetween.models.original_names import PREFIXES
from gen_inbetween.runtime.hashing import file_state
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.trust.limits import open_tensors, shorten

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
        with open_tensors(path) as file:
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
