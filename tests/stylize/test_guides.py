"""Points that go along with the motion, and the input averaged along it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gen_inbetween.stylize import guides
from gen_inbetween.stylize.guides import carry_points, filter_in_time, strew
from gen_inbetween.stylize.settings import StyleError
from gen_inbetween.stylize.stylize import open_estimator


def texture(seed: int = 0, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(*size, 3)), (2, 2, 0))
    return (np.clip(noise / noise.std() * 50 + 128, 0, 255)).astype(np.uint8)


def panned(count: int, step: int = 2) -> list[np.ndarray]:
    wide = texture(size=(64, 160))
    return [np.ascontiguousarray(wide[:, step * k : step * k + 96]) for k in range(count)]


def test_points_keep_their_distance_and_stay_inside_the_mask():
    mask = np.zeros((60, 80), bool)
    mask[10:50, 20:70] = True
    points = strew(mask, 8, np.random.default_rng(0))
    assert len(points) > 15
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e3 * np.eye(len(points))
    assert gaps.min() >= 8
    assert (points[:, 0] > 19).all() and (points[:, 1] < 50).all()


@pytest.mark.parametrize(("key", "large"), [(0, 1280), (3, 1280), (5, 1280), (3, 64)])
def test_points_follow_the_motion_both_ways(key, large, monkeypatch):
    monkeypatch.setattr(guides, "LARGE", large)
    guide = carry_points(panned(6), {key: None}, distance=10, sigma=6, seed=0)
    assert guide.positions.shape[0] == 6
    moved = guide.positions - guide.positions[key]  # the picture goes two pixels to the left in a step
    inner = np.isfinite(guide.positions).all((0, 2)) & (np.abs(guide.positions[key] - [48, 32]) < [30, 20]).all(1)
    steps = np.arange(6)[:, None] - key
    assert inner.sum() > 5
    assert np.abs(moved[:, inner, 0] + 2 * steps).mean() < 0.7
    assert guide.draw(key).shape == (64, 96, 3) and guide.draw(key).std() > 20
    again = carry_points(panned(6), {key: None}, distance=10, sigma=6, seed=0)
    assert np.array_equal(guide.draw(2), again.draw(2))


@pytest.mark.parametrize("name", ["dis", "dis-splat", "tiny-di"])
def test_the_motion_is_that_of_the_named_estimator(name):
    flow = open_estimator(name)(*panned(2))
    assert flow.shape == (64, 96, 2)
    assert np.abs(flow[16:-16, 16:-16] - [-2, 0]).mean() < 0.7


def test_an_estimator_without_motion_is_refused():
    with pytest.raises(StyleError, match="optical_flow nearest: it knows no motion"):
        open_estimator("nearest")


def test_a_point_out_of_the_picture_is_not_drawn_and_does_not_come_back():
    guide = carry_points(panned(16, step=4), {0: None}, distance=10, sigma=4, seed=0)
    gone = ~np.isfinite(guide.positions[..., 0])
    assert gone[-1].sum() > gone[0].sum() == 0
    assert (gone[1:] >= gone[:-1]).all()


def test_the_filter_takes_noise_away_and_leaves_the_picture_where_it_is():
    clean = panned(9)
    noise = np.random.default_rng(1)
    noisy = [np.clip(frame + noise.normal(0, 8, frame.shape), 0, 255).astype(np.uint8) for frame in clean]
    filtered = list(filter_in_time(noisy, 4, 2.0, 27.6))

    def error(frames):
        inner = slice(8, -8), slice(16, -16)
        return np.mean(
            [np.square(a[inner].astype(float) - b[inner]).mean() for a, b in zip(frames, clean, strict=True)]
        )

    assert len(filtered) == 9
    assert error(filtered) < 0.5 * error(noisy)


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_every_frame_comes_once_whatever_the_films_length(count):
    assert len(list(filter_in_time(panned(count), 4, 2.0, 27.6))) == count
    assert all(np.array_equal(a, b) for a, b in zip(filter_in_time(panned(count), 0, 1, 1), panned(count), strict=True))


def test_frames_that_are_needed_are_averaged_as_if_all_were():
    whole = list(filter_in_time(panned(12), 3, 2.0, 27.6))
    some = list(filter_in_time(panned(12), 3, 2.0, 27.6, needed={2, 9}.__contains__))
    assert len(some) == 12
    assert [np.array_equal(a, b) for a, b in zip(whole, some, strict=True)][2::7] == [True, True]
    assert all(np.array_equal(some[n], frame) for n, frame in enumerate(panned(12)) if n not in (2, 9))


def test_samples_near_in_time_weigh_most():
    """The published code has the time weights of the past the wrong way round."""
    still = [np.full((32, 32, 3), 100, np.uint8) for _ in range(9)]
    for far in (0, 8):
        still[far] = np.full((32, 32, 3), 110, np.uint8)
    near = [np.full((32, 32, 3), 100, np.uint8) for _ in range(9)]
    for beside in (3, 5):
        near[beside] = np.full((32, 32, 3), 110, np.uint8)
    far_value, near_value = (list(filter_in_time(frames, 4, 2.0, 27.6))[4].mean() for frames in (still, near))
    assert 100 <= far_value < near_value
