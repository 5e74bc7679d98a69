"""Frames between two film frames whose motion is larger than can be followed.

    draw        as everywhere else: what moves may show twice
    blend       a cross-fade:  (1 - t) a + t b
    hold        the nearer source frame
    generate    what a diffusion model makes of the pair; times between two of its frames are interpolated

A pair is judged by its doubt (`faults/doubt.py`) and its frames depend on nothing else, so that a run that goes on
where another was stopped draws the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.film import draw_between
from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError
from gen_inbetween.interpolation.pairs import between_frames
from gen_inbetween.media.frames.screen import Pixels

LargeMotion: TypeAlias = Literal["draw", "blend", "hold", "generate"]
Shares: TypeAlias = Sequence[float]  # rising, in (0, 1): how much of the time between two frames has passed

NOTICES: dict[LargeMotion, str] = {
    "draw": ", may show things twice; --large-motion hold or blend (large_motion=) shows the source's own frames there",
    "blend": ": cross-faded there",
    "hold": ": the nearer source frame is shown there",
    "generate": ": frames there are generated",
}
WHOLE = 1e-4  # of a step: as near as this to a frame that the model made it is that frame


class PairGenerator(Protocol):
    """A diffusion model set to make the frames between two (`generation.films.pair_generator.open_pair_generator`)."""

    @property
    def record(self) -> dict[str, Any]:
        """What it is and its settings, of plain values: what is written down, and equal for equal frames."""

    def __call__(self, first: Image.Image, last: Image.Image) -> list[Image.Image]:
        """A clip from one RGB or RGBA image to the other, both ends included, of any size of their aspect."""


@dataclass(frozen=True)
class Treatment:
    """What is done with pairs whose motion is doubtful."""

    way: LargeMotion
    generator: PairGenerator | None = None

    @property
    def record(self) -> dict[str, Any]:
        """For the settings in a manifest."""
        return {"large_motion": self.way} | ({"generator": self.generator.record} if self.generator else {})

    def notice_for(self, interpolator: FrameInterpolator) -> str:
        """What doubtful seconds show, to be said after they are named. "nearest" draws nothing twice: it holds."""
        held = self.way == "draw" and interpolator.info.name == "nearest"
        return NOTICES["hold" if held else self.way]

    def frames(
        self, first: Pixels, last: Pixels, shares: Shares, interpolator: FrameInterpolator
    ) -> Iterator[Pixels] | None:
        """The frames at `shares` between two; None: they are drawn, or held, as others are."""
        if self.way == "blend":
            return draw_between(first, last, _cross_fade(shares), interpolator.device)
        if self.generator is not None:
            return _generated(first, last, shares, self.generator, interpolator)
        return None


DRAWN = Treatment("draw")


def plan_treatment(way: str, generator: PairGenerator | None) -> Treatment:
    """InterpolatorError for a way that does not exist, or that lacks its generator or has no use for it."""
    if way not in get_args(LargeMotion):
        raise InterpolatorError(f"large_motion is {', '.join(get_args(LargeMotion))}; got {way!r}")
    if way == "generate" and generator is None:
        raise InterpolatorError(
            "large_motion 'generate' takes a diffusion model: generator=open_pair_generator(MODEL), or --model on the "
            "command line"
        )
    if way != "generate" and generator is not None:
        raise InterpolatorError(f"a generator is for large_motion 'generate', got {way!r}: leave one away")
    return Treatment(way, generator)  # type: ignore[arg-type]  # it is one of them


def _cross_fade(shares: Shares) -> Callable[[Tensor, Tensor], Iterator[Tensor]]:
    return lambda a, b: (a + share * (b - a) for share in shares)


def _generated(
    first: Pixels, last: Pixels, shares: Shares, generator: PairGenerator, interpolator: FrameInterpolator
) -> Iterator[Pixels]:
    """Its frames where they meet the times asked for; elsewhere drawn between its two neighbours."""
    clip = [pixels_from(image, first) for image in generator(image_from(first), image_from(last))]
    clip[0], clip[-1] = first, last
    for share in shares:
        position = share * (len(clip) - 1)
        before = min(int(position + WHOLE), len(clip) - 2)
        within = position - before
        if within < WHOLE or within > 1 - WHOLE:
            yield clip[before + round(within)]
            continue

        def walk(a: Tensor, b: Tensor, t: float = within) -> Iterator[Tensor]:
            return between_frames(a, b, [t], interpolator)

        yield from draw_between(clip[before], clip[before + 1], walk, interpolator.device)


def image_from(pixels: Pixels) -> Image.Image:
    """A film frame (H, W, 3 or 4) as an image of 8 bits, the numbers as they are."""
    return Image.fromarray(pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8))


def pixels_from(image: Image.Image, like: Pixels) -> Pixels:
    """An image as a film frame of the shape and depth of another one."""
    height, width, channels = like.shape
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image.convert("RGB" if channels == 3 else "RGBA"))
    return pixels if like.dtype == np.uint8 else pixels.astype(np.uint16) * 257
