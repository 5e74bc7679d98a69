"""What is painted: masks, dots, curves."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gen_inbetween.app.page.painting import (
    BRUSHES,
    PaintingError,
    dots_of,
    drawn_curve,
    painted_masks,
)
from gen_inbetween.app.page.tabs import things
from gen_inbetween.interpolation.retiming.curves import parse_curve


def editor(draw, size=(60, 40), canvas=None):
    layer = Image.new("RGBA", canvas or size)
    draw(ImageDraw.Draw(layer))
    return {"background": Image.new("RGBA", size, "white"), "layers": [layer], "composite": None}


def two_things(draw):
    draw.rectangle([5, 5, 14, 14], fill=BRUSHES["orange"])
    draw.rectangle([30, 20, 39, 29], fill=BRUSHES["green"])


def test_each_colour_is_a_mask_of_the_pictures_size():
    masks = painted_masks(editor(two_things))
    assert {name: (mask.shape, mask.sum()) for name, mask in masks.items()} == {
        "orange": ((40, 60), 100),
        "green": ((40, 60), 100),
    }
    larger = painted_masks(editor(two_things, size=(120, 80), canvas=(60, 40)))
    assert {name: (mask.shape, mask.sum()) for name, mask in larger.items()} == {
        "orange": ((80, 120), 400),
        "green": ((80, 120), 400),
    }


@pytest.mark.parametrize("value", [{}, {"layers": []}, editor(lambda draw: None)])
def test_nothing_painted_is_said(value):
    with pytest.raises(PaintingError, match="nothing is painted"):
        painted_masks(value)


def test_dots_are_points():
    mask = np.zeros((20, 30), bool)
    mask[2:5, 10:13] = mask[15:18, 3:6] = True
    assert dots_of(mask) == [(11.0, 3.0), (4.0, 16.0)]


def test_a_line_from_corner_to_corner_is_an_even_pace():
    line = drawn_curve(editor(lambda draw: draw.line([(0, 190), (359, 10)], fill="black", width=3), size=(360, 200)))
    curve = parse_curve(line)
    assert np.abs(curve(np.linspace(0, 1, 5)) - np.linspace(0, 1, 5)).max() < 0.02


def test_half_a_line_is_refused():
    with pytest.raises(PaintingError, match="from the left edge"):
        drawn_curve(editor(lambda draw: draw.line([(0, 20), (20, 20)], fill="black")))
    with pytest.raises(PaintingError, match="from the left edge"):
        drawn_curve(None)


def test_dots_find_things_and_doubtful_masks_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    assert things.ways() == [things.WHOLE, things.DOTS]  # SAM's way only where its weights are
    picture = Image.new("RGB", (60, 40), (60, 110, 60))
    ImageDraw.Draw(picture).rectangle([20, 10, 39, 29], fill=(200, 40, 40))
    dotted = editor(lambda draw: draw.ellipse([27, 17, 31, 21], fill=BRUSHES["orange"]))
    (mask,) = things.things_of(dotted, picture, things.DOTS).values()
    assert 320 <= mask.sum() <= 480 and things.doubts({"orange": mask}, things.DOTS) == ""
    assert things.doubts({"orange": ~mask}, things.DOTS).startswith("The orange thing: this is the background")
