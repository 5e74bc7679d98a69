"""Loop Clip and Bridge Clips: what is there stays, the gap is made."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from .conversion import outputs_of, pictures_of
from .inputs import CATEGORY, Model, clip_outputs, method_input, method_settings, seed_input
from .loading import ModelChoice
from .running import film_device, stepping, working


def shared_inputs() -> list[Any]:
    """What the gap of either is made by."""
    return [
        Model.Input("model", optional=True, tooltip="Not connected: the gap is interpolated."),
        method_input(),
        seed_input(),
        io.Float.Input("fps", default=7.0, min=1.0, max=120.0, step=0.01, tooltip="Of the clips."),
        io.Int.Input("context", default=1, min=1, max=24, tooltip="Frames on either side that the gap is made with."),
        io.Boolean.Input(
            "match_colour", default=True, tooltip="The gap's colours become those beside it.", advanced=True
        ),
    ]


def gap_settings(model: ModelChoice | None, method: dict[str, Any]) -> dict[str, Any]:
    """The settings that make a gap, with the watching of its steps."""
    if model is None:
        return {"method": "interpolate", "device": film_device(), "progress": False}
    return model.settings() | method_settings(method) | stepping() | {"progress": False}


class LoopClip(io.ComfyNode):
    """Loop Clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="GenInbetweenLoop",
            display_name="Loop Clip",
            category=CATEGORY,
            description="Closes a clip to a loop, or makes a loop of one picture: from the last frame to the first is "
            "one more step.",
            search_aliases=["seamless loop", "cinemagraph", "boomerang"],
            inputs=[
                io.Image.Input("images", tooltip="The clip; or one picture, which first moves by method svd."),
                *shared_inputs(),
                io.Int.Input("num_frames", default=0, min=0, max=1000, tooltip="Of the whole loop; 0: chosen for you."),
                io.Boolean.Input("even_pace", default=True, advanced=True, tooltip="Space the gap's frames evenly."),
            ],
            outputs=clip_outputs(),
        )

    @classmethod
    def execute(
        cls,
        images: Tensor,
        method: dict[str, Any],
        num_frames: int = 0,
        fps: float = 7.0,
        model: ModelChoice | None = None,
        **values: Any,
    ) -> io.NodeOutput:
        """The loop."""
        from gen_inbetween.generation.joins import loop
        from gen_inbetween.media.clip import Clip

        pictures = pictures_of(images)
        source: Any = Clip(pictures, fps) if len(pictures) > 1 else pictures[0]
        with working(keep=model is None or model.keep, sampling=model is not None):
            clip = loop(source, num_frames=num_frames or None, **values, **gap_settings(model, method))
        return io.NodeOutput(*outputs_of(clip))


class BridgeClips(io.ComfyNode):
    """Bridge Clips."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="GenInbetweenBridge",
            display_name="Bridge Clips",
            category=CATEGORY,
            description="Fills the gap between two clips; their own frames stay as they are, pixel for pixel.",
            search_aliases=["join videos", "transition", "fill gap"],
            inputs=[
                io.Image.Input("clip_a", tooltip="The clip before the gap."),
                io.Image.Input("clip_b", tooltip="The clip after it, of the same size."),
                *shared_inputs(),
                io.Int.Input("num_frames", default=17, min=1, max=1000, tooltip="Of the gap."),
            ],
            outputs=clip_outputs(),
        )

    @classmethod
    def execute(
        cls,
        clip_a: Tensor,
        clip_b: Tensor,
        method: dict[str, Any],
        fps: float = 7.0,
        model: ModelChoice | None = None,
        **values: Any,
    ) -> io.NodeOutput:
        """Both clips and what is between."""
        from gen_inbetween.generation.joins import bridge
        from gen_inbetween.media.clip import Clip

        a, b = (Clip(pictures_of(images), fps) for images in (clip_a, clip_b))
        with working(keep=model is None or model.keep, sampling=model is not None):
            clip = bridge(a, b, **values, **gap_settings(model, method))
        return io.NodeOutput(*outputs_of(clip))
