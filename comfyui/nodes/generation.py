"""Inbetween: the clip between keyframes, sampled by a diffusion model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from .conversion import mask_of, outputs_of, pictures_of
from .inputs import CATEGORY, Model, clip_outputs, method_input, method_settings, seed_input
from .loading import ModelChoice
from .running import watch, working

PLACES = "One for each keyframe, by commas: frames (0, 16, -1), seconds (1.5s) or end. Empty: evenly."
STRENGTHS = "One for each keyframe, 0 to 1: how much of it its frame keeps. Empty: all of it."
FOUND = -1  # a motion bucket that is to be found


class Inbetween(io.ComfyNode):
    """Inbetween."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        keyframe = io.Image.Input("keyframe", tooltip="A picture that the clip goes through; a batch is several.")
        grow = io.Autogrow.TemplatePrefix(keyframe, prefix="keyframe", min=2, max=16)
        return io.Schema(
            node_id="GenInbetween",
            display_name="Inbetween",
            category=CATEGORY,
            description="Generates natural motion between two or more pictures with Stable Video Diffusion.",
            search_aliases=["keyframe interpolation", "first last frame", "tween", "morph"],
            inputs=[
                Model.Input("model"),
                io.Autogrow.Input("keyframes", template=grow),
                method_input(),
                seed_input(),
                io.Int.Input("num_frames", default=0, min=0, max=1000, tooltip="0: what the model was trained on."),
                io.Float.Input("fps", default=7.0, min=1.0, max=120.0, step=1.0, tooltip="Told to the model, too."),
                io.Int.Input("width", default=0, min=0, max=4096, step=8, tooltip="0: the model's own.", advanced=True),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="0: the model's own.", advanced=True
                ),
                io.Combo.Input("fit", options=["crop", "pad", "stretch"], advanced=True),
                io.Int.Input(
                    "motion_bucket_id", default=127, min=FOUND, max=255, advanced=True,
                    tooltip="More: more motion. -1: found, so that the motions from both sides agree.",
                ),
                io.Boolean.Input("loop", default=False, tooltip="From the last frame on to the first.", advanced=True),
                io.String.Input("positions", default="", tooltip=PLACES, advanced=True),
                io.String.Input("strengths", default="", tooltip=STRENGTHS, advanced=True),
                io.Mask.Input("hold", optional=True, tooltip="What stays still, of the first keyframe's size."),
                io.Image.Input(
                    "draft", optional=True, tooltip="A rough clip to start from, such as that of Edit Motion."
                ),
                io.Float.Input(
                    "draft_strength", default=0.6, min=0.05, max=1.0, step=0.05, advanced=True,
                    tooltip="0.3 stays near the draft, 1 forgets it.",
                ),
            ],
            outputs=clip_outputs(),
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        model: ModelChoice,
        keyframes: dict[str, Tensor],
        method: dict[str, Any],
        positions: str = "",
        strengths: str = "",
        hold: Tensor | None = None,
        draft: Tensor | None = None,
        draft_strength: float = 0.6,
        **settings: Any,
    ) -> io.NodeOutput:
        """The clip."""
        from gen_inbetween.generation.stream import stream

        pictures = [picture for images in keyframes.values() if images is not None for picture in pictures_of(images)]
        settings |= model.settings() | method_settings(method)
        settings |= {name: settings[name] or None for name in ("num_frames", "width", "height")}
        settings |= {"still": mask_of(hold)}
        if settings.get("motion_bucket_id") == FOUND:
            settings["motion_bucket_id"] = "auto"
        if draft is not None:
            settings |= {"draft": pictures_of(draft), "draft_strength": draft_strength}
        placed = place(pictures, positions, strengths)
        with working(keep=model.keep, sampling=True):
            clip = watch(stream(placed, **settings))
        return io.NodeOutput(*outputs_of(clip))


def place(pictures: list[Any], positions: str, strengths: str) -> list[Any]:
    """The keyframes with their places and strengths; ValueError: not one for each, or none of its kind."""
    from gen_inbetween.generation.timeline.keyframe import Keyframe, read_position

    places, kept = (
        words(text, len(pictures), name) for text, name in ((positions, "positions"), (strengths, "strengths"))
    )
    where = [None if word is None else read_position(word) for word in places]
    try:
        numbers = [1.0 if word is None else float(word) for word in kept]
    except ValueError as error:
        raise ValueError(f"strengths {strengths!r}: expected numbers from 0 to 1, by commas") from error
    return [Keyframe(*each) for each in zip(pictures, where, numbers, strict=True)]


def words(text: str, count: int, name: str) -> list[str | None]:
    """The words of a list by commas, as many as there are keyframes; None each where the text is empty."""
    if not text.strip():
        return [None] * count
    found = [word.strip() for word in text.split(",")]
    if len(found) != count:
        raise ValueError(f"{name} {text!r}: expected one for each of the {count} keyframes, got {len(found)}")
    return [*found]
