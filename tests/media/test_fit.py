"""Keyframes fitted to a size and back; the cross-fade."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.fit import crossfade, fit, fit_pair
from gen_inbetween.media.image import FrameError


@pytest.fixture
def picture() -> Image.Image:
    """24 x 16: smooth colours, with the top left corner red, so that every turn and flip shows."""
    y, x = np.mgrid[:16, :24]
    pixels = np.stack([x * 8, y * 12, 200 - x * 4], axis=-1).astype(np.uint8)
    pixels[:4, :4] = (255, 0, 0)
    return Image.fromarray(pixels)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def circle(width: int, height: int) -> Image.Image:
    """A white disc on grey in the middle, a fifth of the shorter side in radius, with soft edges."""
    y, x = np.mgrid[:height, :width] + 0.5
    distance = 0.2 * min(width, height) - np.hypot(x - width / 2, y - height / 2)
    grey = 90 + 165 * np.clip(distance + 0.5, 0, 1)
    return Image.fromarray(grey[..., None].repeat(3, 2).astype(np.uint8))


def extent(image: Image.Image) -> tuple[int, int]:
    """Width and height of what is brighter than half-way between the grey and the disc."""
    bright = pixels(image)[..., 0] > 172
    return int(bright.any(0).sum()), int(bright.any(1).sum())


@pytest.mark.parametrize("size", [(300, 160), (160, 300), (101, 77), (40, 30)])
@pytest.mark.parametrize("target", [(96, 64), (64, 96), (64, 64)])
def test_fit_keeps_the_aspect_unless_stretched(size: tuple[int, int], target: tuple[int, int]) -> None:
    for mode in ("crop", "pad", "stretch"):
        fitted, geometry = fit(circle(*size), *target, mode=mode)
        assert fitted.size == target == geometry.target_size
        width, height = extent(fitted)
        if mode == "stretch":
            assert width / height == pytest.approx(target[0] / size[0] * size[1] / target[1], rel=0.2)
        else:
            assert abs(width - height) <= 1
    cropped, _ = fit(circle(*size), *target, mode="crop")
    assert pixels(cropped).min() > 40, "a crop shows no bars"


def test_pad_is_undone_to_the_aspect_of_the_source_in_even_sizes() -> None:
    for size in [(300, 160), (160, 300), (101, 77), (1000, 3)]:
        fitted, geometry = fit(circle(*size), 96, 64, mode="pad")
        undone = geometry.undo(fitted)
        assert pixels(undone).min() > 40, "no bar is left"
        assert undone.width % 2 == undone.height % 2 == 0
        scale = min(96 / size[0], 64 / size[1])
        assert abs(undone.width - size[0] * scale) <= 2 and abs(undone.height - size[1] * scale) <= 2
        assert undone.width * undone.height < 96 * 64
    fitted, geometry = fit(circle(96, 64), 96, 64, mode="crop")
    assert geometry.undo(fitted) is fitted
    with pytest.raises(FrameError, match="undo expects"):
        geometry.undo(circle(10, 10))


def test_a_frame_of_the_right_size_is_not_resampled() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))
    for mode in ("crop", "pad", "stretch"):
        fitted, geometry = fit(noise, 48, 32, mode=mode)
        assert np.array_equal(np.asarray(fitted), np.asarray(noise))
        assert np.array_equal(np.asarray(geometry.undo(fitted)), np.asarray(noise))


def test_fit_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the target can show: must turn grey, not into other stripes
    assert pixels(fit(Image.fromarray(stripes), 60, 60)[0]).std() < 8


def test_fit_pair_of_different_sizes_lies_on_one_geometry() -> None:
    for mode in ("crop", "pad", "stretch"):
        first, second, geometry = fit_pair(circle(320, 160), circle(100, 100), 96, 64, mode)
        assert first.size == second.size == (96, 64)
        assert geometry == fit(circle(320, 160), 96, 64, mode)[1]
        if mode == "pad":
            assert geometry.area == (0, 8, 96, 56)
            bars = [pixels(frame)[..., 0].max(axis=1) == 0 for frame in (first, second)]
            assert np.array_equal(bars[0], bars[1]) and bars[0].sum() == 16
            assert pixels(geometry.undo(second)).min() > 40
        if mode != "stretch":
            width, height = extent(second)
            assert abs(width - height) <= 1


def test_fit_says_what_it_expects() -> None:
    with pytest.raises(FrameError, match="crop, pad, stretch; got 'squash'"):
        fit(circle(8, 8), 8, 8, mode="squash")  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="got 0x8"):
        fit(circle(8, 8), 0, 8)


def test_crossfade_is_linear_and_exact_at_the_ends(picture: Image.Image) -> None:
    other = picture.transpose(Image.Transpose.ROTATE_180)
    frames = crossfade(picture, other, 5)
    assert len(frames) == 5
    assert np.array_equal(np.asarray(frames[0]), np.asarray(picture))
    assert np.array_equal(np.asarray(frames[-1]), np.asarray(other))
    assert abs(pixels(frames[1]) - (0.75 * pixels(picture) + 0.25 * pixels(other))).max() <= 1
    with pytest.raises(FrameError, match="one size"):
        crossfade(picture, other.resize((8, 8)), 5)
    with pytest.raises(FrameError, match="num_frames >= 2"):
        crossfade(picture, other, 1)
