"""What is noted of an edited clip: between which frames of its source something is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.interpolation.editing.retime_objects import retime_objects
from gen_inbetween.interpolation.film_page.edited import note_edit
from gen_inbetween.media.clip import Clip

STARTS = [0, 0.1, 0.2, 1.2, 1.3, 1.4, 1.5]  # the third frame stands for a second


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ({"background": "ease-in"}, [0, 2, 3]),  # the frames 0, 0.07, 0.29, 2.83, 3.07 and 5 of the source
        ({"background": "linear"}, []),
        ({"background": "linear", "num_frames": 3}, [2]),  # at 0, 0.7 and 1.4 s
    ],
)
def test_drawn_pairs_of_a_film_of_varying_rate_are_those_that_are_drawn(asked, drawn):
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    frames = [Image.fromarray(np.roll(picture, number, 1)) for number in range(len(STARTS) - 1)]
    source = Clip(frames, 4, starts=STARTS)
    edited = retime_objects(source, [], [], interpolator="blend", progress=False, **asked)
    quality = note_edit(edited, source, "film")
    assert [number for number, pair in enumerate(quality) if pair.kind == "drawn"] == drawn
