"""The tracker of drawn objects: where it finds them, how solid they are, and when it says that they are gone."""

from __future__ import annotations

import numpy as np
import pytest
from distortions import cross_dissolve, mixed

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.data.tracking import REACH, likeness, track

CLIP = make_clip(2, kind="car", num_objects=1, speed=2.0)


def test_likeness_is_of_the_hue_and_grows_with_its_strength() -> None:
    colour = np.array([0.9, 0.3, 0.1], np.float32)
    grey = np.full(3, colour.mean())
    shades = np.stack([colour, 0.5 * colour + 0.5 * grey, 0.2 * colour + 0.8 * grey, 1 - colour])
    found = likeness(np.round(shades * 255).astype(np.uint8)[None], colour)[0]
    assert found == pytest.approx([0.75, 0.25, 0, 0], abs=0.02)


def test_an_object_is_followed_and_solid_in_its_own_clip() -> None:
    tracks = track(CLIP.frames, CLIP)
    assert tracks.found.all()
    assert np.linalg.norm(tracks.centre - CLIP.positions, axis=-1).max() < 3
    assert tracks.strength.min() > 0.8 * tracks.strength.max()


def test_a_copy_at_half_strength_is_found_but_faint() -> None:
    empty = np.broadcast_to(np.median(CLIP.frames, axis=0).astype(np.uint8), CLIP.frames.shape)
    solid, ghost = track(CLIP.frames, CLIP), track(mixed(empty, CLIP.frames, np.full(14, 0.6)), CLIP)
    assert ghost.found.all()
    assert np.all(ghost.strength < 0.75 * solid.strength)


def test_an_object_that_jumps_out_of_reach_is_lost_and_stays_lost() -> None:
    step = np.linalg.norm(CLIP.positions[-1, 0] - CLIP.positions[0, 0])
    assert step > REACH
    frames = np.concatenate([CLIP.frames[:1].repeat(5, 0), CLIP.frames[-1:].repeat(9, 0)])
    assert track(frames, CLIP).found[:, 0].tolist() == [True] * 5 + [False] * 9
    assert not track(cross_dissolve(CLIP.frames), CLIP).found[-1, 0]
