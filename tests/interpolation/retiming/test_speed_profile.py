"""The pace of a clip: its speed in pixels of 64, where it turns back, and the clip evened out."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween import Clip
from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.interpolation import InterpolatorError, constant_speed, load_interpolator, retime, speed_profile
from gen_inbetween.interpolation.retiming.speed_profile import even_positions
from gen_inbetween.interpolation.reversals import bounce, turns

pytest.importorskip("cv2")
DIS = load_interpolator("dis")
WIDE = np.tile(make_clip(4).frames[0], (1, 2, 1))


def panned(offsets: list[float], size: int = 64) -> Clip:
    """A textured picture of 64 pixels that has moved `offsets` pixels to the left in each frame."""
    frames = [Image.fromarray(np.roll(WIDE, -round(offset), axis=1)[:, :64]) for offset in offsets]
    return Clip([frame.resize((size, size), Image.Resampling.BICUBIC) for frame in frames], 7)


@pytest.mark.parametrize("size", [64, 160])
def test_speed_is_in_pixels_of_64_whatever_the_size(size):
    profile = speed_profile(panned([0, 1, 2, 4, 6, 9], size), DIS)
    np.testing.assert_allclose(profile.steps, [1, 1, 2, 2, 3], rtol=0.15)
    np.testing.assert_allclose(profile.path, [0, 1, 2, 4, 6, 9], rtol=0.12)
    assert profile.mean == pytest.approx(9 / 5, rel=0.1)
    assert profile.unevenness == pytest.approx(np.std([1, 1, 2, 2, 3]) / 1.8, rel=0.2)
    assert profile.reversals == () and (profile.turns > 0.9).all()
    assert "6 frames, 1.79" in str(profile) and "turns back at frame none" in str(profile)


def test_the_camera_turning_back_is_found_also_after_a_pause():
    profile = speed_profile(panned([0, 2, 4, 6, 4, 2, 0, 0, 0, 2]), DIS)
    assert profile.reversals == (3, 8)
    assert np.isnan(profile.turns[[6]]).all() and profile.turns[2] < -0.9
    assert profile.bounce == pytest.approx(12 / 14, abs=0.03)  # of 14 pixels 2 remain


def test_an_object_turning_back_is_found_once():
    picture, thing = np.array(panned([0])[0]), make_clip(5).frames[0][:24, :24]
    frames = np.stack([picture] * 14)
    for frame, place in zip(frames, [4, 8, 12, 16, 20, 24, 28, 30, 28, 24, 20, 16, 12, 8], strict=True):
        frame[20:44, place : place + 24] = thing
    profile = speed_profile(frames, DIS)
    assert profile.reversals in ((7,), (8,)) and profile.bounce > 0.7


def test_bounce_is_what_evaluation_measures():
    for clip in (make_clip(2, num_frames=8).frames, make_clip(2, num_frames=5).frames[[0, 1, 2, 3, 4, 3, 2, 1, 0]]):
        assert speed_profile(clip, DIS).bounce == pytest.approx(open_metric("bounce").score(Sample(clip)), abs=0.12)


def test_turns_in_closed_form():
    cells, camera = np.zeros((7, 1, 2, 2)), np.zeros((7, 2))
    cells[:, 0, 0, 0] = [1, 1, 0, -1, -1, 0.1, 0]  # on, a pause, back, then a tremble
    np.testing.assert_allclose(turns(cells, camera), [1, np.nan, -1, 1, np.nan, np.nan])
    cells[:, 0, 1, 1] = [0, 0, 0, 0, 2, 2, -2]  # sets out late, elsewhere
    np.testing.assert_allclose(turns(cells, camera), [1, np.nan, -1, 1, 1, -1])
    camera[3:5, 0] = [-3, -3]  # in both cells
    np.testing.assert_allclose(turns(cells, camera)[3], 1)
    camera[4, 0] = 3
    np.testing.assert_allclose(turns(cells, camera)[3], (1 - 9 - 9) / (1 + 9 + 9))
    assert np.isnan(turns(cells * 0, camera * 0)).all() and np.isnan(bounce(cells * 0, camera * 0))
    assert turns(cells[:1], camera[:1]).shape == (0,)


def test_scenes_are_judged_one_by_one_and_a_cut_has_no_speed():
    away = Clip([Image.fromarray(255 - np.asarray(frame) // 2) for frame in panned([10, 8, 6, 4])], 7)
    clip = Clip([*panned([0, 2, 4, 6]), *away], 7)
    profile = speed_profile(clip, DIS)
    assert np.isnan(profile.steps[3]) and not np.isnan(np.delete(profile.steps, 3)).any()
    assert profile.reversals == () and profile.bounce < 0.05
    assert profile.path[3] == profile.path[4] and profile.mean == pytest.approx(2, rel=0.1)
    made, _ = constant_speed(clip, interpolator=DIS)
    halves = [np.asarray(frame).mean() > np.asarray(clip[3]).mean() + 40 for frame in made]
    assert sorted(halves) == halves and sum(halves) in (3, 4, 5)  # first one scene, then the other, no mixture


def test_an_uneven_clip_becomes_even():
    uneven = panned([0, 1, 2, 6, 10, 11, 12])
    made, before = constant_speed(uneven, interpolator=DIS)
    after = speed_profile(made, DIS)
    assert before.unevenness > 0.6 and after.unevenness < 0.25
    assert len(made) == 7 and made.fps == 7
    assert made[0].tobytes() == uneven[0].tobytes() and made[6].tobytes() == uneven[6].tobytes()
    assert made.manifest["settings"]["method"] == "constant-speed" and len(made.manifest["pace_before"]) == 6


def test_an_evened_clip_may_have_any_length_and_rate():
    uneven = panned([0, 1, 5])
    more, _ = constant_speed(uneven, 7, interpolator=DIS)
    np.testing.assert_allclose(
        more.manifest["settings"]["positions"], [0, 5 / 6, 7 / 6, 11 / 8, 19 / 12, 43 / 24, 2], atol=0.05
    )
    assert len(more) == 7 and more.fps == pytest.approx(21)
    longer, _ = constant_speed(uneven, fps=14, interpolator=DIS)
    assert len(longer) == 6 and longer.fps == 14


def test_an_evened_animation_plays_as_often_as_before():
    made, _ = constant_speed(Clip(panned([0, 1, 5]), 7, plays=2), interpolator=DIS)
    assert made.plays == 2


def test_pauses_take_no_time_and_nothing_is_divided_by_nothing(caplog):
    caplog.set_level(logging.INFO, "gen_inbetween")
    pausing = panned([0, 0, 0, 2, 4, 4, 4, 6, 8, 8])
    made, _ = constant_speed(pausing, 5, interpolator=DIS)
    np.testing.assert_allclose(made.manifest["settings"]["positions"], [0, 3, 4, 7, 9], atol=2.1)
    assert made[0].tobytes() == pausing[0].tobytes() and made[4].tobytes() == pausing[9].tobytes()
    assert speed_profile(made, DIS).unevenness < 0.2
    still = panned([3] * 5)
    made, profile = constant_speed(still, interpolator=DIS)
    assert [frame.tobytes() for frame in made] == [frame.tobytes() for frame in still]
    assert profile.mean == 0 and np.isnan(profile.unevenness) and "nothing moves" in caplog.text


def test_even_positions_in_closed_form():
    path = np.array([0, 0, 1, 3, 3])
    np.testing.assert_allclose(even_positions(path, np.array([0, 1, 2, 3, 4])), [0, 1.75, 2.25, 2.625, 4])
    np.testing.assert_allclose(even_positions(path * 0, np.array([0, 1.5, 4])), [0, 1.5, 4])


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InterpolatorError, match="two frames or more"):
        speed_profile(panned([0]), DIS)
    with pytest.raises(InterpolatorError, match="two frames or more"):
        constant_speed(panned([0]), interpolator=DIS)
    with pytest.raises(InterpolatorError, match="no rate"):
        constant_speed(list(panned([0, 1])), interpolator=DIS)
    profile = speed_profile(panned([0, 5]), "blend")
    assert profile.mean == 0  # a blend sees no motion


def test_slow_motion_has_a_fraction_of_the_speed():
    clip = panned([0, 2, 4, 6])
    slow = retime(clip, num_frames=13, interpolator=DIS)[:7]
    assert speed_profile(slow, DIS).mean == pytest.approx(0.5, rel=0.25)


def test_a_profile_comes_from_midpoint_networks_too():
    class Halves:
        info, device = DIS.info, torch.device("cpu")

        def flows(self, a, b, t):
            assert t == 0.5
            return DIS.flows(a, b, t)

    np.testing.assert_allclose(speed_profile(panned([0, 1, 3]), Halves()).steps, [1, 2], rtol=0.15)
