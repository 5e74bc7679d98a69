"""Names of Stable Video Diffusion's tensors in Stability AI's own checkpoints.

    down_blocks.0.resnets.1.temporal_res_block.norm1.weight  ->  input_blocks.2.0.time_stack.in_layers.0.weight

The names are those of generative-models (sgm: `VideoUNet`, `VideoDecoder`, OpenCLIP's `VisionTransformer`); diffusers
names the same tensors anew, and reshapes three kinds of them, see `Origin`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "image_encoder": "conditioner.embedders.0.open_clip.model.visual.",
}
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
ATTENTION = {
    "temporal_transformer_blocks": "time_stack",
    "time_pos_embed.linear_1": "time_pos_embed.0",
    "time_pos_embed.linear_2": "time_pos_embed.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
VISION = {
    "vision_model.embeddings.class_embedding": "class_embedding",
    "vision_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.embeddings.patch_embedding.weight": "conv1.weight",
}
VISION_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


@dataclass(frozen=True)
class Origin:
    """Where a tensor of diffusers' stands in the file, and what makes it of that one.

    change: "squeeze", a convolution of one pixel that is a linear layer now; "transpose", a projection that multiplied
        from the other side; "third", the query, key or value (`third`: 0, 1, 2) of three in one; None: as it is.
    """

    name: str
    change: Literal["squeeze", "transpose", "third"] | None = None
    third: int = 0


def origin(part: str, name: str, *, layers: int, blocks: int, attends: tuple[bool, ...] = ()) -> Origin:
    """Where the tensor `name` of a part ("unet", "vae", "image_encoder") stands, its prefix left away.

    Args:
        layers: ResNets of a block on the way down. blocks: how many blocks there are each way.
        attends: of each of the UNet's blocks on the way up, whether it has attention.

    KeyError: a name that no Stable Video Diffusion has.

    >>> origin("unet", "up_blocks.1.upsamplers.0.conv.bias", layers=2, blocks=4, attends=(False, True, True, True)).name
    'output_blocks.5.2.conv.bias'
    >>> origin("image_encoder", "vision_model.encoder.layers.3.self_attn.v_proj.bias", layers=0, blocks=0)
    Origin(name='transformer.resblocks.3.attn.in_proj_bias', change='third', third=2)
    """
    if part == "unet":
        return Origin(_unet(name, layers, attends))
    return _vae(name, blocks) if part == "vae" else _vision(name)


def _unet(name: str, layers: int, attends: tuple[bool, ...]) -> str:
    for ours, theirs in UNET.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if found := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
        kind, number, rest = found.groups()
        return f"middle_block.{2 * int(number) if kind == 'resnets' else 1}.{_inside(kind, rest)}"
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    if found is None:
        raise KeyError(name)
    way, kind, rest = found[1], found[3], found[5]
    block, layer = int(found[2]), int(found[4])
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{block * (layers + 1) + layers}.{2 if attends[block] else 1}.{rest}"
    number = block * (layers + 1) + layer + (way == "down")
    slot = 0 if kind == "resnets" else 1
    return f"{'input' if way == 'down' else 'output'}_blocks.{number}.{slot}.{_inside(kind, rest)}"


def _inside(kind: str, rest: str) -> str:
    """The name of a tensor inside a ResNet or a transformer of the UNet."""
    if kind == "attentions":
        return _renamed(rest, ATTENTION)
    if rest.startswith("spatial_res_block."):
        return _renamed(rest.removeprefix("spatial_res_block."), RESNET)
    if rest.startswith("temporal_res_block."):
        return "time_stack." + _renamed(rest.removeprefix("temporal_res_block."), RESNET)
    return rest  # time_mixer.mix_factor


def _renamed(rest: str, names: dict[str, str]) -> str:
    for ours, theirs in names.items():
        if rest.startswith(f"{ours}."):
            return theirs + rest.removeprefix(ours)
    return rest


def _vae(name: str, blocks: int) -> Origin:
    side, _, rest = name.partition(".")
    if side == "quant_conv":
        return Origin(name)
    if rest.startswith("time_conv_out."):
        return Origin(f"{side}.conv_out.time_mix_conv.{rest.removeprefix('time_conv_out.')}")
    if rest.startswith(("conv_in.", "conv_out.", "conv_norm_out.")):
        return Origin(f"{side}.{_renamed(rest, {'conv_norm_out': 'norm_out'})}")
    if found := re.fullmatch(r"mid_block\.resnets\.(\d)\.(.+)", rest):
        return Origin(f"{side}.mid.block_{int(found[1]) + 1}.{_vae_resnet(found[2])}")
    if found := re.fullmatch(r"mid_block\.attentions\.0\.(.+)", rest):
        inside = _renamed(found[1], VAE_ATTENTION)
        linear = inside.endswith(".weight") and not inside.startswith("norm")
        return Origin(f"{side}.mid.attn_1.{inside}", "squeeze" if linear else None)
    if found := re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)", rest):
        way, kind, inside = found[1], found[3], found[5]
        number = int(found[2]) if way == "down" else blocks - 1 - int(found[2])
        if kind == "resnets":
            return Origin(f"{side}.{way}.{number}.block.{found[4]}.{_vae_resnet(inside)}")
        return Origin(f"{side}.{way}.{number}.{kind.removesuffix('rs')}.{inside}")
    raise KeyError(name)


def _vae_resnet(rest: str) -> str:
    if rest.startswith("temporal_res_block."):
        return "time_stack." + _renamed(rest.removeprefix("temporal_res_block."), RESNET)
    rest = rest.removeprefix("spatial_res_block.").removeprefix("time_mixer.")
    return _renamed(rest, {"conv_shortcut": "nin_shortcut"})


def _vision(name: str) -> Origin:
    if name in VISION:
        return Origin(VISION[name])
    if name == "visual_projection.weight":
        return Origin("proj", "transpose")
    if found := re.fullmatch(r"vision_model\.(pre_layrnorm|post_layernorm)\.(.+)", name):
        return Origin(f"ln_{found[1].partition('_')[0]}.{found[2]}")
    found = re.fullmatch(r"vision_model\.encoder\.layers\.(\d+)\.(.+)", name)
    if found is None:
        raise KeyError(name)
    layer = f"transformer.resblocks.{found[1]}."
    if third := re.fullmatch(r"self_attn\.([qkv])_proj\.(weight|bias)", found[2]):
        return Origin(f"{layer}attn.in_proj_{third[2]}", "third", "qkv".index(third[1]))
    return Origin(layer + _renamed(found[2], VISION_LAYER))
