"""Load Inbetween Model: which model, motion and precision; nothing is read before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from .folders import model_names, model_source, motion_names, motion_source
from .inputs import CATEGORY, Model
from .running import device


@dataclass(frozen=True)
class ModelChoice:
    """What goes along the wire: names, no weights."""

    model: str
    motion: str | None
    dtype: str | None
    vram_gb: float | None
    keep: bool  # in memory after a run

    def settings(self) -> dict[str, Any]:
        """As `inbetween` takes them."""
        named = {"model": self.model, "motion": self.motion, "dtype": self.dtype, "vram_gb": self.vram_gb}
        return named | {"device": device()}


class LoadModel(io.ComfyNode):
    """Load Inbetween Model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="GenInbetweenLoadModel",
            display_name="Load Inbetween Model",
            category=CATEGORY,
            description="Stable Video Diffusion for inbetweening: a checkpoint, a diffusers folder or a named model.",
            search_aliases=["svd", "stable video diffusion", "generative inbetweening"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=model_names(),
                    tooltip="svd_xt.safetensors from models/checkpoints, a folder of models/diffusers, a named model. "
                    "pocket-2 comes along: 64 x 64 pixels, drawn things, to try the nodes.",
                ),
                io.Combo.Input(
                    "motion", options=motion_names(), tooltip="The backward motion of gi, from models/gen_inbetween."
                ),
                io.Combo.Input(
                    "precision",
                    options=["auto", "float16", "bfloat16", "float32"],
                    tooltip="auto: float16 on a GPU, float32 on a CPU.",
                    advanced=True,
                ),
                io.Float.Input(
                    "vram_gb", default=0.0, min=0.0, max=1024.0, step=0.5, advanced=True,
                    tooltip="Memory to plan for; 0: what is free.",
                ),
                io.Boolean.Input(
                    "keep_loaded", default=False, advanced=True,
                    tooltip="Leave the model in memory after a run, so that the next one begins at once.",
                ),
                io.Boolean.Input(
                    "download", default=False, advanced=True,
                    tooltip="Fetch the weights of a named model from the Hugging Face hub where they are not here.",
                ),
            ],
            outputs=[Model.Output(display_name="model")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model: str, motion: str, precision: str, vram_gb: float, keep_loaded: bool, download: bool
    ) -> io.NodeOutput:
        """That the model is here and is one."""
        from gen_inbetween.models.loading import fetch_weights
        from gen_inbetween.models.registry import resolve_model

        spec = resolve_model(model_source(model))
        if download:
            spec = fetch_weights(spec)
        if not Path(spec.source).exists():
            raise ValueError(
                f"{model} is not on this machine: put svd_xt.safetensors into models/checkpoints and choose that, run "
                f"`hf download {spec.source}`, or turn download on"
            )
        dtype = None if precision == "auto" else precision
        source = model if spec.name == model else spec.source
        return io.NodeOutput(ModelChoice(source, motion_source(motion), dtype, vram_gb or None, keep_loaded))
