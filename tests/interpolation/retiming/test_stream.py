"""The engine of retiming: which frames are shown when, what is never mixed, and that memory does not grow."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from gen_inbetween.interpolation import InterpolatorError, InterpolatorInfo, load_interpolator
from gen_inbetween.interpolation.baselines import Still
from gen_inbetween.interpolation.interpolator import Flows, FrameInterpolator, Reference
from gen_inbetween.interpolation.pairs import pass_through
from gen_inbetween.interpolation.retiming.frame_pairs import LONGEST_RUN, Duplicates, TimedFrame, frame_pairs
from gen_inbetween.interpolation.retiming.stream import retime_pairs

SIZE = 24, 16


class Dimmed(Still):
    """A blend that darkens whatever goes through it by two grey levels; keeps what it was asked."""

    def __init__(self, kind: str = "time") -> None:
        super().__init__(hard=False)
        self.info = InterpolatorInfo("dimmed", "-", "-", kind, 1, "none")
        self.asked: list[tuple[float, float | None]] = []

    def __call__(self, a: Tensor, b: Tensor, t: float, *, ref: Reference | None = None, iters: int = 1) -> Tensor:
        self.asked.append((t, None if ref is None else ref[1]))
        if ref is not None:
            assert len(self.asked) > 1 and torch.equal(ref[0], self.before)
        self.before = ((1 - t) * a + t * b - 2 / 255).clamp(0, 1)
        return self.before

    def flows(self, a: Tensor, b: Tensor, t: float) -> Flows:
        raise AssertionError("not asked for")


def flat(level: float) -> np.ndarray:
    return np.full((*SIZE[::-1], 3), round(level), np.uint8)


def flats(*levels: float, step: float = 1.0) -> list[TimedFrame]:
    return [TimedFrame(flat(level), index * step) for index, level in enumerate(levels)]


def levels(images: Iterator[np.ndarray]) -> list[int]:
    found = [np.asarray(image) for image in images]
    assert all(image.min() == image.max() for image in found)
    return [int(image.max()) for image in found]


def retime_frames(
    frames: Iterable[TimedFrame],
    times: Iterable[float],
    interpolator: FrameInterpolator,
    *,
    cuts: bool = True,
    duplicates: Duplicates = "keep",
    **options: bool,
) -> Iterator[np.ndarray]:
    return retime_pairs(frame_pairs(frames, cuts=cuts, duplicates=duplicates), times, interpolator, **options)


def shown(
    frames: list[TimedFrame], times: list[float], interpolator: Still | None = None, **options: object
) -> list[int]:
    return levels(retime_frames(frames, times, interpolator or load_interpolator("blend"), **options))


def test_any_time_is_mixed_from_the_frames_around_it():
    assert shown(flats(0, 10, 20, 40), [0, 0.5, 1, 1.3, 2.25, 2.9, 3]) == [0, 5, 10, 13, 25, 38, 40]
    uneven = [
        TimedFrame(flat(0), 0.0),
        TimedFrame(flat(10), 0.1),
        TimedFrame(flat(20), 1.1),
    ]  # seconds, not numbers, count
    assert shown(uneven, [0.05, 0.1, 0.6]) == [5, 10, 15]


def test_before_the_first_frame_and_after_the_last_one_that_frame_stands():
    assert shown(flats(10, 20), [-1, -0.5, 0, 0.5, 1, 1.5, 99]) == [10, 10, 10, 15, 20, 20, 20]


def test_times_at_source_frames_show_them_bit_for_bit():
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (*SIZE[::-1], 3), np.uint8) for _ in range(4)]
    frames = [TimedFrame(image, index / 3) for index, image in enumerate(noise)]
    found = list(retime_frames(frames, [0, 1 / 3 + 1e-9, 2 / 3 - 1e-9, 1.0], Dimmed()))
    assert [image.tobytes() for image in found] == [image.tobytes() for image in noise]
    assert shown(flats(10, 20), [2e-6], Dimmed()) == [8]  # further away than 1e-6 of the span: drawn


@pytest.mark.parametrize("kind", ["midpoint", "time", "index", "time+ref", "index+ref"])
def test_without_passthrough_every_frame_has_gone_through_the_network_once(kind):
    frames = flats(10, 20, 30, 30, 200, 210)  # a repeat and a cut
    times = [0, 0.5, 1, 2, 2.5, 3, 3.25, 3.75, 4, 4.5, 5, 6]
    plain = shown(frames, times)
    assert plain == [10, 15, 20, 30, 30, 30, 30, 200, 200, 205, 210, 210]
    assert shown(frames, times, Dimmed(kind), passthrough=False) == [level - 2 for level in plain]
    sources = {0, 2, 3, 4, 5, 6, 7, 8, 10, 11}
    kept = [level if index in sources else level - 2 for index, level in enumerate(plain)]
    assert shown(frames, times, Dimmed(kind)) == kept


def test_redrawing_pairs_a_frame_with_itself_and_is_done_once_for_a_held_one():
    dimmed = Dimmed()
    assert shown(flats(10, 20), [0, 1, 1.1, 1.2, 1.3], dimmed, passthrough=False) == [8, 18, 18, 18, 18]
    assert dimmed.asked == [(0.5, None), (0.5, None)]
    frame = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pass_through(frame, load_interpolator("nearest")), frame)


def test_reference_kinds_walk_each_frame_looking_at_the_one_before():
    dimmed = Dimmed("index+ref")
    shown(flats(0, 100, 200), [0.25, 0.5, 0.75, 1, 1.5], dimmed)
    assert dimmed.asked == [(0.25, None), (0.5, 0.25), (0.75, 0.5), (0.5, None)]


def test_midpoint_kinds_share_their_halves():
    dimmed = Dimmed("midpoint")
    assert len(shown(flats(0, 100), [k / 8 for k in range(9)], dimmed)) == 9
    assert [time for time, _ in dimmed.asked] == [0.5] * 7


def test_nothing_is_drawn_across_a_cut():
    moving = [20, 23, 26, 29, 200, 203, 206, 209]
    times = [3, 3.2, 3.49, 3.5, 3.8, 4, 4.5]
    assert shown(flats(*moving), times) == [29, 29, 29, 200, 200, 200, 202]
    assert shown(flats(*moving), times, cuts=False) == [29, 63, 113, 114, 166, 200, 202]


def test_two_frames_are_a_pair_and_fast_motion_is_no_cut():
    assert shown(flats(0, 200), [0.5]) == [100]
    assert shown(flats(0, 60, 120, 180, 240), [0.5, 3.5]) == [30, 210]
    assert [pair.hold for pair in frame_pairs(flats(0, 0, 0, 200, 200, 200))] == [
        True
    ] * 5  # stills: the change is a cut


def test_runs_of_repeats_are_kept_or_replaced_by_even_motion():
    frames = flats(0, 20, 20, 20, 50, 50)
    times = [0, 0.5, 1, 1.5, 2, 3, 3.5, 4, 4.5, 5]
    assert shown(frames, times) == [0, 10, 20, 20, 20, 20, 35, 50, 50, 50]
    # From 20 at 1 straight to 50 at 4; the run at the end has nothing to move to.
    assert shown(frames, times, duplicates="replace") == [0, 10, 20, 25, 30, 40, 45, 50, 50, 50]


def test_a_run_before_a_cut_and_a_long_one_stay():
    frames = flats(10, 12, 14, 14, 200, 202, 204)
    assert shown(frames, [2.5, 3, 3.4, 3.6, 4.5], duplicates="replace") == [14, 14, 14, 200, 201]
    for repeats, middle in ((LONGEST_RUN, 40 * (LONGEST_RUN / 2) / (LONGEST_RUN + 1)), (LONGEST_RUN + 1, 0)):
        still = flats(*[0] * (repeats + 1), 40, 80)
        assert shown(still, [LONGEST_RUN / 2], duplicates="replace") == [round(middle)]
    long = flats(*[0] * 40, 40, 40, 80)
    assert shown(long, [20, 39, 39.5, 40, 41, 41.5], duplicates="replace") == [0, 0, 20, 40, 60, 70]


def test_noise_of_a_codec_does_not_hide_a_repeat_but_is_shown_as_it_came():
    generator = np.random.default_rng(2)
    noisy = [generator.integers(99, 101, (96, 96, 3)).astype(np.uint8) for _ in range(2)]
    moved = np.full((96, 96, 3), 115, np.uint8)
    frames = [TimedFrame(image, float(index)) for index, image in enumerate((*noisy, moved))]
    found = list(retime_frames(frames, [0, 1, 2], load_interpolator("blend"), duplicates="replace"))
    assert abs(np.asarray(found[1]).mean() - (99.5 + 115) / 2) < 1
    kept = list(retime_frames(frames, [0, 1, 2], load_interpolator("blend")))
    assert kept[1].tobytes() == noisy[1].tobytes()


def test_a_stream_reads_no_further_than_it_must_and_holds_a_window_only():
    alive: set[int] = set()
    most = 0

    def film(count: int) -> Iterator[TimedFrame]:
        nonlocal most
        for index in range(count):
            image = flat(index % 50)
            alive.add(index)
            weakref.finalize(image, alive.discard, index)
            most = max(most, len(alive))
            yield TimedFrame(image, index / 10)

    blend = load_interpolator("blend")
    count = sum(1 for _ in retime_frames(film(300), (k / 25 for k in range(750)), blend))
    assert count == 750 and most <= 24
    source = film(300)
    list(retime_frames(source, [0.0, 0.05], blend))
    assert next(source).seconds < 3


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        ([], [0], "two frames or more.*got 0"),
        (flats(1), [0], "two frames or more.*got 1"),
        (
            [TimedFrame(flat(1), 0), TimedFrame(np.zeros((16, 32, 3), np.uint8), 1)],
            [0],
            "frame 1 is 32 x 16, the ones before 24 x 16",
        ),
        ([TimedFrame(np.zeros((15, 40, 3), np.uint8), i) for i in (0, 1)], [0], "at least 16 x 16 pixels, got 40 x 15"),
        ([TimedFrame(flat(1), 0.0), TimedFrame(flat(2), 0.0)], [0], "times of frames to rise; frame 1 is shown at 0,"),
        (flats(1, 2), [0.5, 0.4], "times that rise, got 0.4 after 0.5"),
        (flats(1, 2), [float("nan")], "times that rise, got nan"),
    ],
)
def test_what_cannot_be_retimed_is_refused(frames, times, message):
    with pytest.raises(InterpolatorError, match=message):
        list(retime_frames(frames, times, load_interpolator("blend")))
