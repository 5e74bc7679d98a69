"""Clip Report: the faults of a clip, measured and said in words."""

from __future__ import annotations

import math

import numpy as np
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from .conversion import images_of, pictures_of
from .inputs import CATEGORY
from .running import working

MEANINGS = {  # what each figure measures
    "bounce": "share of the motion that runs back along its own way",
    "ghosting": "how far frames are two pictures laid over each other, 0 to 1",
    "freeze": "share of steps in which nothing moves",
    "flicker": "trembling of brightness, grey levels",
    "endpoint_error": "mean difference of its ends from the keyframes, grey levels",
    "pace": "spread of the motion of a step over its mean",
}


class ClipReport(io.ComfyNode):
    """Clip Report."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="GenInbetweenReport",
            display_name="Clip Report",
            category=CATEGORY,
            description="What is wrong with a clip, in words and figures, with no true clip to compare it to.",
            search_aliases=["quality", "score", "compare seeds"],
            inputs=[
                io.Image.Input("images", tooltip="The clip: three frames or more."),
                io.Image.Input("keyframes", optional=True, tooltip="The first and the last keyframe, of its size."),
            ],
            outputs=[
                io.String.Output(display_name="report"),
                io.Float.Output(display_name="badness", tooltip="All faults weighed together; lower is better."),
                io.Image.Output(display_name="sheet", tooltip="Eight frames of the clip in a row."),
            ],
        )

    @classmethod
    def execute(cls, images: Tensor, keyframes: Tensor | None = None) -> io.NodeOutput:
        """The report."""
        from gen_inbetween.generation.best_of import badness
        from gen_inbetween.interpolation.faults.faults import find_faults
        from gen_inbetween.media.contact_sheet import contact_sheet

        frames = [picture.convert("RGB") for picture in pictures_of(images)]
        if len(frames) < 3:
            raise ValueError(f"expected a clip of three frames or more, got {len(frames)}")
        with working():
            faults = find_faults(np.stack([np.asarray(frame) for frame in frames]), ends_of(keyframes, frames[0].size))
        total = badness(faults)
        return io.NodeOutput(describe(faults, total), float(total), images_of([contact_sheet({"": frames})]))


def ends_of(keyframes: Tensor | None, size: tuple[int, int]) -> list[np.ndarray | None]:
    """The first and last keyframe as arrays, None where there are none. ValueError: of another size."""
    if keyframes is None:
        return [None, None]
    pictures: list[Image.Image] = [picture.convert("RGB") for picture in pictures_of(keyframes)]
    if pictures[0].size != size:
        raise ValueError(f"expected keyframes of the clip's size {size}, got {pictures[0].size}")
    return [np.asarray(pictures[0]), np.asarray(pictures[-1]) if len(pictures) > 1 else None]


def describe(faults: dict[str, float], total: float) -> str:
    """The faults that a viewer sees, the costliest first, then every figure."""
    from gen_inbetween.generation.best_of import WEIGHTS
    from gen_inbetween.interpolation.faults.words import FAULTS, named_faults

    named = sorted(named_faults(faults), key=lambda name: -WEIGHTS[name] * faults[name])
    verdict = ", ".join(FAULTS[name][1] for name in named) or "no fault found"
    lines = [f"{verdict} (badness {total:.2f}, lower is better)"]
    for name, meaning in MEANINGS.items():
        value = "does not apply" if math.isnan(faults[name]) else f"{faults[name]:.3f}"
        lines.append(f"{name}: {value} - {meaning}")
    return "\n".join(lines)
