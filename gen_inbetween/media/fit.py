"""Fitting keyframes to a model's size, undoing it, and cross-fades.

Frames keep their aspect unless told otherwise, two keyframes go through one geometry, and the geometry can be undone:
bars added for the model do not reach the written clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image

from gen_inbetween.media.image import FrameError

FitMode = Literal["crop", "pad", "stretch"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FitGeometry:
    """How a frame was fitted: sizes are (width, height) in pixels, `area` is where the picture lies in the target."""

    mode: FitMode
    source_size: tuple[int, int]
    target_size: tuple[int, int]
    area: tuple[int, int, int, int]  # left, top, right, bottom

    def undo(self, image: Image.Image) -> Image.Image:
        """Cut off the bars that `pad` added, so that the image has the aspect of the source again, in even sizes.

        `crop` and `stretch` added nothing; their images come back as they are.

        Raises:
            FrameError: the image does not have the target size.
        """
        if image.size != self.target_size:
            raise FrameError(f"undo expects a fitted {self.target_size} image (width, height); got {image.size}")
        return image if self.area == (0, 0, *self.target_size) else image.crop(self.area)


def fit(image: Image.Image, width: int, height: int, mode: FitMode = "crop") -> tuple[Image.Image, FitGeometry]:
    """Fit an image to width x height pixels.

    Args:
        image: any PIL image that Lanczos can resample, as `load_image` returns it.
        width, height: the target, in pixels.
        mode: "crop" fills the target and cuts what sticks out, in equal parts; "pad" shows the whole image between
            black bars; "stretch" gives up the aspect. Resampling is Lanczos with antialiasing; an image that has the
            target size already is not resampled.

    Returns:
        The fitted image and its geometry, whose `undo` removes the bars.
    """
    if mode not in get_args(FitMode):
        raise FrameError(f"fit is one of {', '.join(get_args(FitMode))}; got {mode!r}")
    if width < 1 or height < 1:
        raise FrameError(f"a frame is fitted to at least 1x1 pixels; got {width}x{height}")
    area = _padded_area(image.size, width, height) if mode == "pad" else (0, 0, width, height)
    return _paint(image, (width, height), area, mode), FitGeometry(mode, image.size, (width, height), area)


def fit_pair(
    frame0: Image.Image, frame1: Image.Image, width: int, height: int, mode: FitMode = "crop"
) -> tuple[Image.Image, Image.Image, FitGeometry]:
    """Fit two keyframes, which may differ in size and aspect, by one geometry.

    Both get the same target and mode. With "pad", frame0 decides where the picture lies; frame1 fills that area and
    is cropped to its aspect if it has another: the bars stand still through the clip, and one `undo` serves all frames.

    Returns:
        Fitted frame0, fitted frame1 and the geometry of both (its source size is frame0's).
    """
    fitted0, geometry = fit(frame0, width, height, mode)
    return fitted0, _paint(frame1, (width, height), geometry.area, mode), geometry


def _padded_area(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The centred box of the image's aspect; its sides are even where the target allows, as video wants them."""
    scale = min(width / size[0], height / size[1])
    inner_width, inner_height = _even(size[0] * scale, width), _even(size[1] * scale, height)
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def _even(side: float, limit: int) -> int:
    even = max(2, 2 * round(side / 2))
    return limit if even > limit - 2 else even


def _paint(image: Image.Image, target: tuple[int, int], area: tuple[int, int, int, int], mode: FitMode) -> Image.Image:
    inner = area[2] - area[0], area[3] - area[1]
    source: Box = (0, 0, *image.size) if mode == "stretch" else _centred_box(image.size, inner)
    picture = image.resize(inner, Image.Resampling.LANCZOS, box=source)  # a fractional box: nothing is rounded twice
    if inner == target:
        return picture
    canvas = Image.new(image.mode, target)
    canvas.paste(picture, area[:2])
    return canvas


def _centred_box(size: tuple[int, int], aspect_of: tuple[int, int]) -> Box:
    """The largest centred box within `size` (width, height) that has the aspect of `aspect_of`."""
    scale = min(size[0] / aspect_of[0], size[1] / aspect_of[1])
    left, top = (size[0] - aspect_of[0] * scale) / 2, (size[1] - aspect_of[1] * scale) / 2
    return max(left, 0.0), max(top, 0.0), min(size[0] - left, size[0]), min(size[1] - top, size[1])


def crossfade(frame0: Image.Image, frame1: Image.Image, num_frames: int) -> list[Image.Image]:
    """Blend two RGB images of one size linearly (in their stored values): the trivial inbetween, a baseline.

    Returns:
        `num_frames` images; the first is frame0, the last frame1, exactly.

    Raises:
        FrameError: the sizes differ or num_frames < 2.
    """
    if frame0.size != frame1.size:
        raise FrameError(f"crossfade needs two frames of one size; got {frame0.size}, {frame1.size}: use fit_pair")
    if num_frames < 2:
        raise FrameError(f"crossfade needs num_frames >= 2, one for each keyframe; got {num_frames}")
    return [Image.blend(frame0, frame1, index / (num_frames - 1)) for index in range(num_frames)]
