"""Scene cuts: fast motion is none."""

from __future__ import annotations

import numpy as np

from gen_inbetween.media.scenes import scene_cuts


def test_fast_motion_is_no_cut() -> None:
    generator = np.random.default_rng(0)
    restless = generator.random((12, 24, 24, 3)).astype(np.float32)  # every frame differs from the last alike
    assert scene_cuts(restless) == []
    assert scene_cuts(np.concatenate([0.02 * restless[:6], 0.9 + 0.02 * restless[6:]])) == [6]
