"""Edit Motion: each masked thing at its own pace."""

from __future__ import annotations

import logging
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from .conversion import mask_of, outputs_of, pictures_of
from .folders import interpolator_source
from .inputs import CATEGORY, clip_outputs, curve_input, interpolator_input
from .running import film_device, working

log = logging.getLogger("gen_inbetween")


class EditMotion(io.ComfyNode):
    """Edit Motion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        mask = io.Mask.Input("mask", tooltip="A thing in the first frame.")
        return io.Schema(
            node_id="GenInbetweenEditMotion",
            display_name="Edit Motion",
            category=CATEGORY,
            description="Each masked thing goes its way at its own pace: between two pictures, or along a clip. "
            "The result may be the draft of Inbetween.",
            search_aliases=["time remap", "object timing"],
            inputs=[
                io.Image.Input("images", tooltip="Two pictures: a pair to go between; more: a clip."),
                io.Autogrow.Input("masks", template=io.Autogrow.TemplatePrefix(mask, prefix="mask", min=1, max=8)),
                io.String.Input(
                    "curves", default="ease-in", multiline=True,
                    tooltip="One line for each mask: linear, ease-in, ease-out, ... or knots 0:0,0.5:0.8,1:1",
                ),
                curve_input("background"),
                io.Int.Input("num_frames", default=0, min=0, max=1000, tooltip="0: 25, or as many as the clip has."),
                io.Float.Input("fps", default=7.0, min=1.0, max=120.0, step=0.01),
                interpolator_input(),
            ],
            outputs=clip_outputs(),
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        images: Tensor,
        masks: dict[str, Tensor],
        curves: str,
        background: str = "linear",
        num_frames: int = 0,
        fps: float = 7.0,
        interpolator: str = "auto",
    ) -> io.NodeOutput:
        """The edited clip."""
        from gen_inbetween.interpolation.editing.edit_motion import edit_motion
        from gen_inbetween.interpolation.editing.masks import mask_notices
        from gen_inbetween.interpolation.editing.retime_objects import retime_objects

        pictures = pictures_of(images)
        painted: list[Any] = [mask_of(mask) for mask in masks.values() if mask is not None]
        if empty := next((number for number, mask in enumerate(painted, 1) if mask is None), None):
            raise ValueError(f"mask {empty}: expected a thing painted in the first frame, got nothing")
        for number, mask in enumerate(painted, 1):
            for notice in mask_notices(mask):
                log.warning("mask %d: %s", number, notice)
        lines = [line.strip() for line in curves.splitlines() if line.strip()]
        settings: dict[str, Any] = {"background": background, "fps": fps, "device": film_device(), "progress": False}
        if num_frames:
            settings["num_frames"] = num_frames
        if source := interpolator_source(interpolator):
            settings["interpolator"] = source
        with working():
            if len(pictures) == 2:
                clip = edit_motion(pictures[0], pictures[1], painted, lines, **settings)
            else:
                clip = retime_objects(pictures, painted, lines, **settings)
        return io.NodeOutput(*outputs_of(clip))
