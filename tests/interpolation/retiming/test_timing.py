"""Positions of frames for every factor (their rules: `test_retime.py`)."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.interpolation.retiming.timing import plan_times


def test_plans_are_exact_for_every_factor():
    for factor in range(1, 129):
        plan = plan_times(25, 7, num_frames=24 * factor + 1)
        assert len(plan.positions) == 24 * factor + 1 and plan.fps == pytest.approx(7 * factor)
        np.testing.assert_allclose(plan.positions, np.arange(24 * factor + 1) / factor, atol=1e-12)
        assert len(plan_times(25, 7, fps=7 * factor).positions) == 25 * factor
