"""The tempo of sound, changed in steps. What becomes of a video's sound: tests/interpolation/retiming."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.media.tracks.sound import tempos


def test_tempo_is_changed_in_steps_that_keep_every_sample():
    for factor in (1 / 128, 0.3, 0.5, 0.9, 1.5, 2, 3, 7):
        assert np.prod(tempos(factor)) == pytest.approx(factor)
        assert all(0.5 - 1e-9 <= step <= 2 + 1e-9 for step in tempos(factor))
