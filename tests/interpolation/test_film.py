"""Interpolation of film frames: deep ones, and those with transparency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from colour_cases import RED, patches
from PIL import Image

from gen_inbetween.generation.settings import Settings
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.generation.transparency import carry_alpha
from gen_inbetween.interpolation.editing.edit_motion import edit_motion
from gen_inbetween.interpolation.editing.retime_objects import retime_objects
from gen_inbetween.interpolation.film import MARGIN, changed_part, draw_between, draw_parts, film_pixels, film_tensor
from gen_inbetween.interpolation.pair_clip import interpolate_pair
from gen_inbetween.interpolation.retiming.retime import retime
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.video import open_source, read_frames

CPU = torch.device("cpu")


def clear(shift: int = 0, hidden: tuple[int, int, int] = (0, 255, 0)) -> Image.Image:
    """A red disc on nothing, over a hidden colour."""
    y, x = np.mgrid[:48, :64]
    inside = (x - 20 - shift) ** 2 + (y - 24) ** 2 < 100
    pixels = np.where(inside[..., None], RED, hidden).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels, inside * np.uint8(255)]))


def check_disc(image: Image.Image, shift: float) -> None:
    """A disc at a place, whole, red up to its rim, and nothing around it."""
    assert image.mode == "RGBA"
    pixels = np.asarray(image).astype(int)
    y, x = np.mgrid[:48, :64]
    distance = np.hypot(x - 20 - shift, y - 24)
    assert pixels[distance < 7][:, 3].min() > 200 and pixels[distance > 14][:, 3].max() < 40
    assert np.abs(pixels[pixels[..., 3] > 64][:, :3] - RED).max() < 30


def halves(a: torch.Tensor, b: torch.Tensor):
    yield (a + b) / 2


def test_deep_frames_keep_their_depth() -> None:
    first, last = (np.full((16, 16, 3), level, np.uint16) for level in (1000, 1003))
    (frame,) = draw_between(first, last, halves, CPU)
    assert frame.dtype == np.uint16 and abs(int(frame[0, 0, 0]) - 1001) <= 1


def test_every_level_of_eight_bits_comes_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    assert (film_pixels(film_tensor(levels, torch.device("cpu")), levels.dtype) == levels).all()
    overshot = torch.tensor([-0.2, 0.0, 1.0, 1.3]).view(1, 1, 2, 2).expand(1, 3, 2, 2)  # as bicubic lookup may
    assert film_pixels(overshot, levels.dtype)[..., 0].tolist() == [[0, 0], [255, 255]]


def test_the_part_that_changes_has_a_margin_and_lies_in_the_frame() -> None:
    first = np.zeros((720, 1280, 3), np.uint8)
    last = first.copy()
    assert changed_part(first, last) is None  # nothing
    last[10:50, 600:700, 1] = 1
    rows, columns = changed_part(first, last)
    assert rows.start == 0 and 50 + MARGIN <= rows.stop < 200
    assert columns.start <= 600 - MARGIN and 700 + MARGIN <= columns.stop < 1000
    assert all((part.stop - part.start) % MARGIN == 0 for part in (rows, columns))
    last[700, 1279] = last[700, 0] = 1
    assert changed_part(first, last) is None  # most of the frame lies between


def test_what_is_hidden_does_not_bleed_out() -> None:
    first = np.zeros((16, 16, 4), np.uint8)
    first[...] = (*RED, 255)
    last = np.zeros((16, 16, 4), np.uint8)
    last[...] = (0, 255, 0, 0)
    (frame,) = draw_between(first, last, halves, CPU)
    assert frame[3, 3].tolist() == [*RED, 128]
    first[..., 3] = last[..., 3] = 77
    assert next(draw_between(first, first, halves, CPU))[..., 3].tolist() == first[..., 3].tolist()


def test_pictures_that_come_back_are_the_given_ones() -> None:
    ends = [clear(), clear(4)]
    frames = draw_parts(lambda images: [images[0], images[1], images[0]], ends)
    assert [frame.tobytes() for frame in frames] == [ends[0].tobytes(), ends[1].tobytes(), ends[0].tobytes()]
    opaque = [image.convert("RGB") for image in ends]
    assert draw_parts(lambda images: images, opaque)[0] is opaque[0]


def test_transparent_keyframes_and_clips() -> None:
    ends = clear(), clear(8)
    clip = interpolate_pair(*ends, num_frames=3, interpolator="dis-splat", progress=False)
    assert clip[0].tobytes() == ends[0].tobytes() and clip[2].tobytes() == ends[1].tobytes()
    check_disc(clip[1], 4)
    slow = retime(Clip(ends, 2), fps=4, interpolator="dis-splat", progress=False)
    check_disc(slow[1], 4)
    assert slow[0].tobytes() == ends[0].tobytes()


def test_edited_things_stay_transparent_around() -> None:
    mask = np.asarray(clear())[..., 3] > 0
    clip = edit_motion(clear(), clear(8), [mask], ["linear"], num_frames=3, interpolator="dis-splat", progress=False)
    check_disc(clip[1], 4)
    frames = [clear(4 * number) for number in range(4)]
    edited = retime_objects(Clip(frames, 10), [mask], ["hold-start"], interpolator="dis-splat", progress=False)
    assert edited[0].mode == "RGBA" and np.asarray(edited[0])[24, 20].tolist() == [*RED, 255]
    assert np.asarray(edited[0])[2, 2, 3] == 0


@pytest.mark.parametrize("name", ["o.webp", "o.apng", "o.mov", "o"])
def test_saved_clips_keep_it_and_are_read_with_it(tmp_path: Path, name: str) -> None:
    path = Clip([clear(), clear(4), clear(8)], 10).save(tmp_path / name)
    read = Clip.open(path, fps=10)
    check_disc(read[2], 8)
    assert read_frames(path).frames[0].mode == "RGB"
    assert read_frames(path, alpha=True).frames[0].mode == "RGBA"
    assert open_source(path).colour.alpha


def test_a_clip_without_any_stays_rgb(tmp_path: Path) -> None:
    opaque = Image.fromarray(patches()).convert("RGBA")
    assert Clip([opaque, opaque], 5)[0].mode == "RGB"
    flat = Clip([clear(), clear(4)], 5).save(tmp_path / "o.mp4")
    assert np.asarray(read_frames(flat).frames[0])[2, 2].min() > 250


def test_alpha_follows_what_a_model_made_of_the_colour() -> None:
    frames = []
    for shift in (0, 2, 10, 12):  # not at an even pace
        picture = Image.new("RGBA", (64, 48), (255, 255, 255, 255))
        picture.alpha_composite(clear(shift))
        frames.append(picture.convert("RGB"))
    settings = Settings(width=64, height=48)
    timeline = Timeline((frames[0], frames[-1]), (0, 3), 4)
    carried = carry_alpha(frames, timeline, (clear(0), clear(12)), settings)
    for frame, shift in zip(carried, (0, 2, 10, 12), strict=True):
        check_disc(frame, shift)
