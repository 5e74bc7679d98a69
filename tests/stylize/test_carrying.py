"""Painted keyframes carried along the motion: exact where it is known, and left to the network where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gen_inbetween.stylize import carrying
from gen_inbetween.stylize.carrying import carry_keys, mixed
from gen_inbetween.stylize.examples import Example
from gen_inbetween.stylize.guides import flow_between
from gen_inbetween.stylize.settings import StyleSettings
from gen_inbetween.stylize.stylize import stylize

SIDE, COUNT, KEY, REACH = 64, 9, 4, 4
TEXTURE = np.random.default_rng(0).integers(0, 255, (SIDE, 200, 3), np.uint8)
BLANK = np.zeros((SIDE, SIDE, 3), np.uint8)


def moving(step: int) -> list[np.ndarray]:
    """A texture that moves to the left by `step` pixels a frame."""
    return [np.ascontiguousarray(TEXTURE[:, 20 + step * n : 20 + step * n + SIDE]) for n in range(COUNT)]


def flow_of(step: int, frames):
    """The true flow between any two of the frames."""
    places = {frame.tobytes(): number for number, frame in enumerate(frames)}

    def estimate(source, target):
        across = step * (places[source.tobytes()] - places[target.tobytes()])
        return np.dstack([np.full((SIDE, SIDE), across, np.float32), np.zeros((SIDE, SIDE), np.float32)])

    return estimate


def key_of(frames, mask=None) -> Example:
    whole = np.ones((SIDE, SIDE), bool)
    return Example(KEY, frames[KEY], None, 255 - frames[KEY], whole if mask is None else mask)


@pytest.mark.parametrize("values", [300_000, SIDE * SIDE // 4])  # each pixel, and every other
def test_along_the_true_motion_the_painting_is_carried_exactly(monkeypatch, values):
    monkeypatch.setattr(carrying, "VALUES", values)
    frames = moving(2)
    chains = carry_keys(iter(frames), [KEY], REACH, flow_of(2, frames))
    assert sorted(chains) == list(range(COUNT)) and all(len(of) == 1 for of in chains.values())
    for number, frame in enumerate(frames):
        drawn = mixed(BLANK, frame, number, chains[number], [key_of(frames)], REACH).astype(float)
        fall = 1 - abs(number - KEY) / (REACH + 1)
        wanted = fall * (255.0 - frame)
        inside = np.s_[:, 10:-10]  # what comes in at the sides is in no keyframe
        assert np.abs(drawn - wanted)[inside].max() <= 1
        entered = 2 * abs(number - KEY)
        sides = drawn[:, SIDE - entered :] if number > KEY else drawn[:, :entered]
        assert (sides == 0).all()


def test_flows_that_miss_themselves_and_other_colours_are_not_trusted():
    frames = moving(2)
    true = flow_of(2, frames)
    missing = carry_keys(iter(frames), [KEY], REACH, lambda a, b: true(a, b) + 3)  # there and back miss by 6 sqrt(2)
    assert mixed(BLANK, frames[5], 5, missing[5], [key_of(frames)], REACH).max() == 0
    chains = carry_keys(iter(frames), [KEY], REACH, true)
    other = frames[5] // 2  # a shadow came
    assert mixed(BLANK, other, 5, chains[5], [key_of(frames)], REACH)[:, 10:-10].mean() < 10


def test_the_keyframe_is_its_painting_and_what_is_not_painted_the_networks():
    frames = moving(1)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, :32] = True
    key = key_of(frames, mask)
    chains = carry_keys(iter(frames), [KEY], REACH, flow_of(1, frames))
    drawn = mixed(BLANK, frames[KEY], KEY, chains[KEY], [key], REACH)
    assert (drawn[:, :32] == key.painted[:, :32]).all() and (drawn[:, 32:] == 0).all()
    later = mixed(BLANK, frames[KEY + 2], KEY + 2, chains[KEY + 2], [key], REACH)
    assert later[:, 5:29].any(-1).all() and (later[:, 31:] == 0).all()


def test_of_two_keyframes_the_nearer_one_weighs_more():
    frames = [np.full((SIDE, SIDE, 3), 90, np.uint8)] * COUNT
    mask = np.ones((SIDE, SIDE), bool)
    keys = [Example(n, frames[n], None, np.full_like(frames[n], level), mask) for n, level in ((0, 0), (8, 200))]
    chains = carry_keys(iter(frames), [0, 8], 8, flow_between)
    levels = [mixed(frames[0], frames[n], n, chains[n], keys, 8).mean() for n in range(COUNT)]
    assert levels[0] == 0 and levels[8] == 200 and levels == sorted(levels) and levels[4] == pytest.approx(100, abs=15)


def test_frames_out_of_reach_are_as_they_were(frames, painted):
    tiny = StyleSettings(
        widths=(8, 12, 16, 16, 12, 8), blocks=1, batch_size=4, patch_size=24, perceptual="none", minutes=5
    )
    plain, carried = (
        stylize(frames, {3: painted[3]}, settings=replace(tiny, carry=carry), steps=20, progress=False)
        for carry in (0, 2)
    )
    assert [a.tobytes() == b.tobytes() for a, b in zip(plain, carried, strict=True)] == [True, *[False] * 5, True, True]
    assert carried[3].tobytes() == painted[3].tobytes()
    error = [np.abs(np.asarray(clip[4], float) - np.asarray(painted[4])).mean() for clip in (plain, carried)]
    assert error[1] < error[0]
