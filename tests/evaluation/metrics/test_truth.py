"""The measures against the generator's truth: nothing to find fault with in true clips, and each fault found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from distortions import (
    Frames,
    blurred,
    cross_dissolve,
    frozen,
    half_transparent,
    noisy,
    overshooting,
    reversed_in_time,
    shuffled,
    there_and_back,
)

from gen_inbetween.data.synthetic import SyntheticClip, make_clip
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.objects import blobs, way_back
from gen_inbetween.evaluation.metrics.truth import METRICS

NAMES = [metric.name for metric in METRICS]
FAULTS = ("trajectory_error", "lost", "tail_first", "turns_back", "two_copies")
ANY = [make_clip(seed) for seed in range(18)]  # every kind, one object or two
FAST = [make_clip(seed, kind=kind, num_objects=1, speed=2.5) for seed, kind in enumerate(("dart", "walker", "cart"))]


def scores(clips: Sequence[SyntheticClip], spoil: Callable[[Frames], Frames] = np.asarray) -> dict[str, float]:
    metrics = [open_metric(name) for name in NAMES]
    for clip in clips:
        sample = Sample(spoil(clip.frames), synthetic=clip)
        for metric in metrics:
            metric.update(sample)
    return {metric.name: float(metric.compute()) for metric in metrics}


def test_true_clips_have_no_fault_and_go_nose_first() -> None:
    found = scores(ANY)
    assert {name: found[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert found["nose_first"] > 0.8
    assert found["background_flicker"] < 1


def test_what_spoils_no_motion_invents_no_fault() -> None:
    for spoil in (blurred, noisy):
        found = scores(ANY[:12], spoil)
        assert found["trajectory_error"] < 0.6
        assert found["lost"] == found["turns_back"] == found["tail_first"] == found["two_copies"] == 0
    assert scores(FAST, noisy)["background_flicker"] > 5 > 1 > scores(FAST, blurred)["background_flicker"]


def test_a_cross_dissolve_is_lost_doubled_and_off_its_way() -> None:
    found = scores(FAST, cross_dissolve)
    assert found["lost"] > 0.4
    assert found["two_copies"] == 1
    assert found["trajectory_error"] > 3


def test_two_half_transparent_copies_are_seen() -> None:
    found = scores(FAST, half_transparent)
    assert found["lost"] > 0.4
    assert found["two_copies"] > 0.6


def test_a_frozen_clip_is_lost_once_it_jumps_and_never_turns() -> None:
    found = scores(FAST, frozen)
    assert found["lost"] > 0.3 and found["trajectory_error"] > 4
    assert found["turns_back"] == found["two_copies"] == 0


@pytest.mark.parametrize("spoil", [there_and_back, reversed_in_time, shuffled])
def test_what_runs_back_turns_back_and_goes_tail_first(spoil: Callable[[Frames], Frames]) -> None:
    found = scores(FAST, spoil)
    assert found["turns_back"] == 1 and found["tail_first"] == 1
    assert found["nose_first"] < 0.3
    assert found["trajectory_error"] > 4


def test_overshooting_by_more_than_the_threshold_is_a_bounce_and_by_less_is_not() -> None:
    long = make_clip(11, kind="dart", num_objects=1, num_frames=24, speed=1.0)
    turns, tails = (open_metric(name) for name in ("turns_back", "tail_first"))
    for extra, expected in ((0, 0.0), (1, 0.0), (6, 1.0)):  # the way back is as many pixels
        turn = 13 + extra
        frames = overshooting(long.frames[: turn + 1], 14 + 2 * extra)
        step = (len(frames) - 1) / 13  # the truth goes to the same end, straight
        truth = at_frames(long, np.round(np.minimum(np.arange(len(frames)) / step, 13)).astype(int))
        sample = Sample(frames, synthetic=truth)
        assert turns.score(sample) == tails.score(sample) == expected


def at_frames(clip: SyntheticClip, index: np.ndarray) -> SyntheticClip:
    fields = {name: getattr(clip, name)[index] for name in ("frames", "positions", "headings", "masks")}
    return replace(clip, **fields)


def test_an_object_that_truly_leaves_the_frame_is_not_missed() -> None:
    long = make_clip(6, kind="car", num_objects=1, num_frames=40, speed=3.4)
    leaving = at_frames(long, np.arange(20, 40))
    area = leaving.masks.sum((1, 2, 3))
    assert area[-1] < 0.1 * area[0]
    found = scores([leaving])
    assert found["lost"] == found["turns_back"] == found["tail_first"] == 0
    there_but_gone = leaving.frames.copy()
    there_but_gone[1:] = leaving.frames[-1]
    assert open_metric("lost").score(Sample(there_but_gone, synthetic=leaving)) == 1


def test_a_ball_has_no_nose_and_its_own_bounce_is_none() -> None:
    ball = make_clip(5, kind="ball", num_objects=1, speed=2.0)
    found = scores([ball])
    assert np.isnan(found["nose_first"]) and np.isnan(found["tail_first"])
    assert found["turns_back"] == 0
    assert scores([ball], there_and_back)["turns_back"] == 1


def test_what_hardly_travels_cannot_turn_back() -> None:
    still = at_frames(FAST[0], np.zeros(6, int))
    found = scores([still])
    assert np.isnan(found["turns_back"]) and np.isnan(found["nose_first"])
    assert found["lost"] == found["tail_first"] == found["background_flicker"] == 0


def test_other_sizes_score_alike_and_other_shapes_are_named() -> None:
    clip = FAST[0]
    doubled = clip.frames.repeat(2, 1).repeat(2, 2)
    found = scores([clip], lambda frames: doubled)
    assert found["trajectory_error"] < 0.2 and found["lost"] == 0
    wide = np.zeros((14, 64, 96, 3), np.uint8)
    for frames in (wide, clip.frames[:10]):
        with pytest.raises(ValueError, match="expected 14 square frames .* got"):
            open_metric("lost").score(Sample(frames, synthetic=clip))
    with pytest.raises(ValueError, match="expected a sample with a synthetic truth"):
        open_metric("lost").score(Sample(clip.frames))


def test_blobs_of_comparable_mass_are_counted() -> None:
    one = np.zeros((64, 64), np.float32)
    one[10:20, 10:20] = 0.8
    one[10:20, 14:16] = 0  # a stripe does not part it
    two = one.copy()
    two[40:50, 40:50] = 0.4
    crumb = one.copy()
    crumb[40:43, 40:43] = 0.8
    assert [blobs(picture, least=1.0) for picture in (one, two, crumb, 0 * one)] == [1, 2, 1, 0]
    assert blobs(two, least=60.0) == 1


def test_the_way_back_is_the_longest_one() -> None:
    assert way_back(np.array([0.0, 3, 2, 4, np.nan, 1, 5])) == 3
    assert way_back(np.array([0.0, 1, 2])) == way_back(np.array([np.nan])) == 0
