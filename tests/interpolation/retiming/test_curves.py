"""Curves over time: through their knots, never beyond them, and refused where they are none."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.interpolation.retiming.curves import EASES, CurveError, PathCurve, parse_curve

TIMES = np.linspace(0, 1, 401)
UNEVEN = ((0, 0), (0.1, 0.05), (0.35, 0.8), (0.5, 0.8), (0.8, 0.3), (1, 1))


@pytest.mark.parametrize(
    "knots", [UNEVEN, ((0, 0.2), (1, 0.9)), ((0, 0), (0.3, 1), (1, 0)), ((0, 1), (0.9, 0.9), (1, 0))]
)
def test_smooth_curves_are_scipys_pchip(knots):
    interpolate = pytest.importorskip("scipy.interpolate")
    x, y = np.array(knots, float).T
    np.testing.assert_allclose(PathCurve(knots)(TIMES), interpolate.PchipInterpolator(x, y)(TIMES), atol=1e-12)


def test_straight_curves_are_straight():
    curve = PathCurve(((0, 0), (0.5, 0.8), (1, 1)), "linear")
    np.testing.assert_allclose(curve([0, 0.25, 0.5, 0.75, 1]), [0, 0.4, 0.8, 0.9, 1])


def test_the_shape_asked_is_the_shape_returned():
    curve = PathCurve(UNEVEN)
    assert curve(0.35).shape == () and float(curve(0.35)) == pytest.approx(0.8)
    assert curve(np.zeros((2, 3))).shape == (2, 3) and curve([]).shape == (0,)


@pytest.mark.parametrize("name", EASES)
def test_eases_go_through_their_knots_and_stay_in_range(name):
    curve = EASES[name]
    values = curve(TIMES)
    assert values.min() >= 0 and values.max() <= 1 and values[0] == 0
    times, knots = np.array(curve.knots).T
    np.testing.assert_allclose(curve(times), knots, atol=1e-12)
    assert (np.diff(values) < -1e-12).any() == (name in ("bounce", "there-and-back"))  # the others never turn back
    assert values[-1] == pytest.approx(0 if name == "there-and-back" else 1, abs=1e-12)


def test_eases_are_what_their_names_say():
    t = TIMES
    np.testing.assert_allclose(EASES["linear"](t), t)
    np.testing.assert_allclose(EASES["ease-in"](t), t**2, atol=2e-4)
    np.testing.assert_allclose(EASES["ease-out"](t), 1 - (1 - t) ** 2, atol=2e-4)
    np.testing.assert_allclose(EASES["ease-in-out"](t), t * t * (3 - 2 * t), atol=1e-3)
    assert not EASES["hold-start"](t[t <= 0.25]).any() and (EASES["hold-end"](t[t >= 0.75]) == 1).all()
    back = EASES["there-and-back"]
    np.testing.assert_allclose(back(t), back(1 - t), atol=1e-12)
    assert back(0.5) == 1
    hits = [4 / 11, 8 / 11, 10 / 11, 1]
    np.testing.assert_allclose(EASES["bounce"](hits), 1, atol=1e-12)
    np.testing.assert_allclose(EASES["bounce"]([6 / 11, 9 / 11]), [0.75, 0.9375], atol=1e-12)


def test_curves_are_read_as_people_write_them():
    knots = ((0.0, 0.0), (0.5, 0.8), (1.0, 1.0))
    assert parse_curve("0:0,0.5:0.8,1:1").knots == parse_curve(" 0:0, .5:.8, 1:1 ").knots == knots
    assert parse_curve([[0, 0], [0.5, 0.8], [1, 1]]) == PathCurve(knots)  # as JSON brings them
    assert parse_curve("Ease_In") is EASES["ease-in"]
    curve = PathCurve(UNEVEN)
    assert parse_curve(curve) is curve


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ("ease-inn", "did you mean 'ease-in'.*hold-start"),
        ("zzz", r"no curve 'zzz': Names are linear"),
        ("0:0,half:1,1:1", "time:value.*got 'half:1'"),
        ("0:0,1:1,", "got ''"),
        ("0:0", "two or more knots"),
        ([(0, 0), (0.5, 1), (0.5, 0), (1, 1)], "rise from 0 to 1, got times 0, 0.5, 0.5, 1"),
        ([(0.1, 0), (1, 1)], "rise from 0 to 1"),
        ([(0, 0), (2, 1)], "rise from 0 to 1"),
        ([], "of none"),
        ([(0, 0), (1, 1.5)], r"values from 0 .* to 1 .*, got 1.5"),
        ([(0, float("nan")), (1, 1)], "got nan"),
        ([(0, 0), (float("nan"), 0.5), (1, 1)], "rise from 0 to 1"),
        ([0, 1], "pairs"),
        ([(0, 0), (1,)], "pairs"),
        ([("start", 0), (1, 1)], "pairs"),
        ([(0, 0), (1, 10**400)], "pairs"),
        (None, "a curve's name, or pairs"),
    ],
)
def test_what_is_no_curve_is_refused(curve, message):
    with pytest.raises(CurveError, match=message):
        parse_curve(curve)


def test_other_kinds_and_times_outside_are_refused():
    with pytest.raises(CurveError, match="linear or pchip, got 'cubic'"):
        PathCurve(((0, 0), (1, 1)), "cubic")
    for times in (-0.1, [0, 1.5], float("nan")):
        with pytest.raises(CurveError, match=r"times in \[0, 1\]"):
            EASES["linear"](times)
