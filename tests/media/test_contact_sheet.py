"""Contact sheets and clips side by side."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.contact_sheet import contact_sheet, side_by_side


def shades(num_frames: int, width: int = 64, height: int = 64) -> list[Image.Image]:
    """Frame t is filled with the shade (40, 10 * t, 0), a colour neither paper nor ink has."""
    return [Image.new("RGB", (width, height), (40, 10 * time, 0)) for time in range(num_frames)]


def shades_shown(picture: Image.Image) -> list[int]:
    """The frame numbers seen in a picture, in the order of rows, then columns, each run once."""
    pixels = np.asarray(picture)
    seen: list[int] = []
    for row in pixels[:: max(1, pixels.shape[0] // 40)]:
        times = [int(p[1]) // 10 for p in row if p[0] == 40 and p[2] == 0]
        line = [t for i, t in enumerate(times) if i == 0 or t != times[i - 1]]
        if line and line != seen[-len(line) :]:
            seen += line
    return seen


def test_a_sheet_shows_evenly_spaced_frames_with_both_ends() -> None:
    assert shades_shown(contact_sheet({"a": shades(14)}, columns=4)) == [0, 4, 9, 13]
    assert shades_shown(contact_sheet({"a": shades(25)}, columns=5)) == [0, 6, 12, 18, 24]
    assert shades_shown(contact_sheet({"a": shades(3)}, columns=8)) == [0, 1, 2]
    assert shades_shown(contact_sheet({"a": shades(1)})) == [0]


def test_a_row_for_each_clip_of_whatever_length_and_size() -> None:
    sheet = contact_sheet({"a": shades(14), "b": shades(4, 32, 64), "c": shades(9, 64, 20)}, columns=3)
    assert shades_shown(sheet) == [0, 6, 13, 0, 2, 3, 0, 4, 8]


def test_tiny_frames_are_enlarged_pixel_by_pixel_and_large_ones_reduced() -> None:
    checks = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)).convert("RGB")
    sheet = contact_sheet({"": [checks]})
    assert sheet.size == (192, 192)
    assert set(np.unique(np.asarray(sheet))) == {0, 255}, "no pixel is mixed from two"
    assert np.array_equal(np.asarray(sheet)[1::3, 1::3], np.asarray(checks))
    assert contact_sheet({"": shades(1, 1024, 576)}).size == (480, 270)
    assert contact_sheet({"": shades(1, 200, 300)}).size == (200, 300)


def test_labels_are_drawn_and_take_room() -> None:
    plain, labelled = contact_sheet({"": shades(2)}), contact_sheet({"gi, 25 steps": shades(2)})
    assert labelled.width == plain.width
    strip = np.asarray(labelled)[: labelled.height - plain.height]
    ink = (strip < 100).all(axis=2)
    assert np.flatnonzero(ink.any(1)).size >= 10, "letters at least ten pixels high"
    assert ink.any(0)[:6].sum() == 0 and ink.sum() > 100
    assert not np.array_equal(strip, np.asarray(contact_sheet({"trf, 25 steps": shades(2)}))[: strip.shape[0]])


def test_a_long_label_is_shown_whole() -> None:
    label = "a label that is a good deal longer than one tile is wide, set in full"
    for picture in (contact_sheet({label: shades(1)}), side_by_side({label: shades(1), "b": shades(1)})[0]):
        ink = (np.asarray(picture)[:28] < 100).all(axis=2)
        half = picture.width if picture.width < 1000 else picture.width // 2
        assert 400 < np.flatnonzero(ink[:, :half].any(0)).max() < half - 4


def test_side_by_side_plays_together_and_holds_the_last_frame() -> None:
    frames = side_by_side({"short": shades(3), "long": shades(7)})
    assert len(frames) == 7
    assert len({frame.size for frame in frames}) == 1
    assert [shades_shown(frame) for frame in frames] == [[0], [1], [2], [2, 3], [2, 4], [2, 5], [2, 6]]


def test_side_by_side_in_rows() -> None:
    clips = {name: shades(index + 1)[-1:] for index, name in enumerate("abc")}
    (wide,) = side_by_side(clips)
    (square,) = side_by_side(clips, columns=2)
    assert shades_shown(wide) == shades_shown(square) == [0, 1, 2]
    assert wide.width > square.width and wide.height < square.height


@pytest.mark.parametrize("draw", [contact_sheet, side_by_side])
def test_nothing_to_show(draw: object) -> None:
    with pytest.raises(ValueError, match="no clips"):
        draw({})
    with pytest.raises(ValueError, match="'b' has no frames"):
        draw({"a": shades(2), "b": []})
    with pytest.raises(ValueError, match="columns"):
        draw({"a": shades(2)}, columns=0)
