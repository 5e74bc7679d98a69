"""Options of written videos: codec, quality, pixels, background."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageColor

from gen_inbetween.media.frames.errors import VideoError


@dataclass(frozen=True)
class VideoOptions:
    """How frames are to be written; what is None is chosen by the output's name and the frames.

    Raises:
        VideoError: a background that is no colour, a crf below 0.
    """

    codec: str | None = None  # h264, hevc, av1, prores, ffv1, vp9, or an encoder of hardware (h264_nvenc, ...)
    crf: int | None = None  # constant rate factor: 0 is the largest and best; the default is nearly lossless
    pix_fmt: str | None = None  # as FFmpeg names it: yuv420p, yuv444p10, rgb48, ...
    background: str | None = None  # a colour (white, #204060, "32,64,96"); transparent frames are put over it

    def __post_init__(self) -> None:
        if self.crf is not None and self.crf < 0:
            raise VideoError(f"crf is 0 (best, largest) or more; got {self.crf}")
        _ = self.ground

    @property
    def ground(self) -> tuple[int, int, int] | None:
        """The background as RGB in 0..255; None where none is said."""
        return None if self.background is None else parse_colour(self.background)


PLAIN = VideoOptions()


def parse_colour(text: str) -> tuple[int, int, int]:
    """RGB in 0..255 of a colour's name, of #rrggbb, or of three numbers.

    >>> parse_colour("navy"), parse_colour("#ff8000"), parse_colour("1, 2,3")
    ((0, 0, 128), (255, 128, 0), (1, 2, 3))
    """
    parts = text.split(",")
    if len(parts) == 3 and all(part.strip().isdecimal() and int(part) <= 255 for part in parts):
        red, green, blue = map(int, parts)
        return red, green, blue
    try:
        red, green, blue = ImageColor.getrgb(text.strip())[:3]
    except ValueError as error:
        raise VideoError(f"{text!r} is no colour: expected a name (white), #rrggbb, or R,G,B in 0..255") from error
    return red, green, blue
