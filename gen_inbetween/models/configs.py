"""Model configurations that decide the cost of a run, without weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gen_inbetween.models.layout import WEIGHTS, read_config
from gen_inbetween.models.registry import MODELS, ModelSpec, resolve_model
from gen_inbetween.models.single_file import read_single_file
from gen_inbetween.runtime.hub import fetch_file
from gen_inbetween.runtime.messages import warn_once

LARGEST = 64  # times the pixels of a frame that the model was trained on
LONGEST = 2  # times the trained count of frames: further out, nothing that SVD learned about the pace of things holds

# Stable Video Diffusion as published, to plan without any of its files; both lengths share it.
SVD_UNET = {
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 768,
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "transformer_layers_per_block": 1,
    "num_attention_heads": (5, 10, 20, 20),
    "num_frames": 25,
    "sample_size": 96,
}
SVD_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "force_upcast": True,
}
SVD_IMAGE_ENCODER = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "projection_dim": 1024,
    "hidden_act": "gelu",
}


@dataclass(frozen=True)
class ModelConfigs:
    """The three configurations that decide the cost of a run (as JSON text), and the size and length it is made for."""

    name: str
    unet: str
    vae: str
    image_encoder: str
    width: int
    height: int
    num_frames: int

    @property
    def latent_factor(self) -> int:
        """Pixels per latent, along each side."""
        return 2 ** (len(json.loads(self.vae)["block_out_channels"]) - 1)

    @property
    def size_factor(self) -> int:
        """What width and height must be multiples of: the VAE's reduction times the UNet's (64 for SVD)."""
        return int(self.latent_factor * 2 ** (len(json.loads(self.unet)["block_out_channels"]) - 1))

    @property
    def longest(self) -> int:
        """Frames of the longest clip, or window of one, that the model does."""
        return LONGEST * self.num_frames

    def check_size(self, width: int, height: int) -> None:
        """ValueError for a size the UNet could not halve evenly all the way down, and for one far beyond its own."""
        if width * height > LARGEST * self.width * self.height:
            raise ValueError(
                f"{width}x{height} is more than {LARGEST} times the {self.width}x{self.height} that this model was "
                "made for: take a smaller size"
            )
        factor = self.size_factor
        for name, side in (("width", width), ("height", height)):
            if side % factor:
                low = side // factor * factor
                near = " or ".join(str(each) for each in (low, low + factor) if each)
                raise ValueError(f"{name} {side} is not a multiple of {factor}, as this model needs; take {near}")

    def check_length(self, num_frames: int) -> None:
        """ValueError for a clip longer than the model can do; a notice for a length it was not trained on."""
        if not 3 <= num_frames <= self.longest:
            raise ValueError(
                f"num_frames {num_frames}: this model was trained on clips of {self.num_frames} frames and does 3 to "
                f"{self.longest} between two keyframes; more keyframes make a longer clip"
            )
        if num_frames != self.num_frames:
            warn_once(f"num_frames {num_frames}: the model was trained on {self.num_frames}; quality is best there")


SVD_XT = ModelConfigs(
    "svd-xt",
    json.dumps(SVD_UNET),
    json.dumps(SVD_VAE),
    json.dumps(SVD_IMAGE_ENCODER),
    width=1024,
    height=576,
    num_frames=25,
)


def open_configs(model: str | Path | ModelSpec | ModelConfigs) -> ModelConfigs:
    """The configurations of a named model, a pipeline folder or a hub id; only small JSON files may be fetched.

    Raises:
        ModelError: as `resolve_model`.
    """
    if isinstance(model, ModelConfigs):
        return model
    spec = model if isinstance(model, ModelSpec) else resolve_model(model)
    folder = Path(spec.source)
    if not folder.exists() and spec.name in MODELS:
        return replace(SVD_XT, name=spec.name, num_frames=spec.num_frames)
    parts = read_single_file(folder) if folder.is_file() else _read_configs(spec.source)
    unet, vae, image_encoder = (json.dumps(parts[part]) for part in WEIGHTS)
    return ModelConfigs(spec.name, unet, vae, image_encoder, spec.width, spec.height, spec.num_frames)


def _read_configs(source: str) -> dict[str, dict[str, Any]]:
    """The config.json of every part with weights of a folder or a hub id."""
    files = {part: f"{part}/config.json" for part in WEIGHTS}
    there = Path(source).is_dir()
    return {
        part: read_config(Path(source) / file if there else fetch_file(source, file), part)
        for part, file in files.items()
    }
