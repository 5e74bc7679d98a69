"""A tiny Stable Video Diffusion in the single file that Stability AI published, under its names."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from gen_inbetween.models.single_file_weights import origins

TINY = {
    "unet": {
        "in_channels": 8, "out_channels": 4, "block_out_channels": [64, 128], "layers_per_block": 1,
        "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
        "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
        "cross_attention_dim": 32, "transformer_layers_per_block": 1, "num_attention_heads": [1, 2],
        "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 48, "num_frames": 25, "sample_size": 96,
    },
    "vae": {
        "block_out_channels": [32, 64], "down_block_types": ["DownEncoderBlock2D"] * 2, "layers_per_block": 1,
        "latent_channels": 4, "sample_size": 768, "scaling_factor": 0.18215, "force_upcast": True,
    },
    "image_encoder": {
        "hidden_size": 160, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "patch_size": 56, "image_size": 224, "projection_dim": 32, "hidden_act": "gelu",
    },
}  # fmt: skip


def drawn_parts() -> dict[str, torch.nn.Module]:
    """The parts of TINY with random weights, in diffusers' own classes."""
    torch.manual_seed(0)
    parts = {
        "unet": UNetSpatioTemporalConditionModel(**TINY["unet"]),
        "vae": AutoencoderKLTemporalDecoder(**TINY["vae"]),
        "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig(**TINY["image_encoder"])),
    }
    for part in parts.values():
        for weight in part.parameters():
            torch.nn.init.normal_(weight, std=0.05)
    return {name: part.eval() for name, part in parts.items()}


def published(parts: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint of Stability AI's, made from diffusers' ones: `single_file.changed` the other way."""
    tensors: dict[str, torch.Tensor] = {}
    for part, model in parts.items():
        thirds: dict[str, list[torch.Tensor]] = {}
        state = model.state_dict()
        for name, how in origins(part, model, TINY[part]).items():
            if how.change == "third":
                thirds.setdefault(how.name, [torch.empty(0)] * 3)[how.third] = state[name]
            elif how.change == "squeeze":
                tensors[how.name] = state[name][:, :, None, None]
            else:
                tensors[how.name] = state[name].T if how.change == "transpose" else state[name]
        tensors |= {name: torch.cat(values) for name, values in thirds.items()}
    tensors["conditioner.embedders.3.encoder.conv_in.weight"] = torch.zeros(1)  # the encoder again, as in the files
    tensors["conditioner.embedders.0.open_clip.model.logit_scale"] = torch.zeros(())
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
