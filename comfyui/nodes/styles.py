"""Stylise by Keys: the style of painted frames, learnt in minutes, spread over a clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy import model_management
from comfy.utils import ProgressBar
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from .conversion import outputs_of, pictures_of
from .generation import words
from .inputs import CATEGORY, clip_outputs, seed_input
from .running import PREVIEW, film_device, working


class StyliseByKeys(io.ComfyNode):
    """Stylise by Keys."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        key = io.Image.Input("key", tooltip="A painted frame, of the clip's size; what is transparent is not painted.")
        return io.Schema(
            node_id="GenInbetweenStylise",
            display_name="Stylise by Keys",
            category=CATEGORY,
            description="Paint one frame or more of a clip; the others follow. Learns a small network on this clip.",
            search_aliases=["style transfer", "ebsynth", "rotoscope"],
            inputs=[
                io.Image.Input("images", tooltip="The clip."),
                io.Autogrow.Input("keys", template=io.Autogrow.TemplatePrefix(key, prefix="key", min=1, max=8)),
                io.String.Input("numbers", default="0", tooltip="The frame of each key, from 0, by commas."),
                io.Float.Input("minutes", default=3.0, min=0.05, max=120.0, step=0.5, tooltip="Of learning, at most."),
                io.Int.Input("steps", default=4000, min=1, max=100000, tooltip="Of learning, at most.", advanced=True),
                io.Float.Input("fps", default=24.0, min=1.0, max=120.0, step=0.01),
                seed_input(),
            ],
            outputs=clip_outputs(),
        )

    @classmethod
    def execute(
        cls, images: Tensor, keys: dict[str, Tensor], numbers: str, fps: float = 24.0, **settings: Any
    ) -> io.NodeOutput:
        """The clip in the style of its keys."""
        from gen_inbetween.media.clip import Clip
        from gen_inbetween.stylize.stylize import stylize

        painted = [picture for key in keys.values() if key is not None for picture in pictures_of(key)]
        places = words(numbers, len(painted), "numbers")
        try:
            keyed = {int(word or 0): picture for word, picture in zip(places, painted, strict=True)}
        except ValueError as error:
            raise ValueError(f"numbers {numbers!r}: expected whole frame numbers by commas, such as 0, 24") from error
        if len(keyed) != len(painted):
            raise ValueError(f"numbers {numbers!r}: expected another frame for each of the {len(painted)} keys")
        clip = Clip(pictures_of(images), fps)
        with working(learning=True):
            look = looking(settings["steps"])
            made = stylize(clip, keyed, device=film_device(), on_look=look, progress=False, **settings)
        return io.NodeOutput(*outputs_of(made))


def looking(steps: int) -> Callable[[Any, Callable[[], Image.Image]], bool]:
    """What shows each look at what is learnt, and hears Stop."""
    bar = ProgressBar(steps)

    def look(seen: Any, preview: Callable[[], Image.Image]) -> bool:
        model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(seen.step, steps, ("JPEG", preview(), PREVIEW))
        return False

    return look
