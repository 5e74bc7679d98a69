"""Workers: order, bounds, threads, failures; the same frames however many there are."""

from __future__ import annotations

import itertools
import threading

import cv2
import numpy as np
import pytest
import torch
from interpolation_cases import clip_tensor

from gen_inbetween.interpolation import InterpolatorError, load_interpolator, retime_video
from gen_inbetween.interpolation.retiming.cost import (
    describe_cost,
    frames_between,
    pair_bytes,
    predicted_cost,
    usual_workers,
)
from gen_inbetween.interpolation.retiming.frame_pairs import TimedFrame, frame_pairs
from gen_inbetween.interpolation.retiming.stream import MEETS, retime_pairs
from gen_inbetween.interpolation.retiming.workers import AT_ONCE, in_order, one_thread_each


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_items_come_in_order_and_no_further_than_they_are_needed(workers):
    lengths, drawn = [0, 3, AT_ONCE, 2 * AT_ONCE, 1, 9], []

    def items(number, length):
        for k in range(length):
            drawn.append((number, k))
            yield number, k

    expected = [(number, k) for number, length in enumerate(lengths) for k in range(length)]
    assert list(in_order((items(*each) for each in enumerate(lengths)), workers)) == expected
    drawn.clear()
    stream = in_order((items(number, 1000) for number in itertools.count()), workers)
    assert [next(stream) for _ in range(2)] == [(0, 0), (0, 1)]
    stream.close()
    assert len(drawn) <= (workers + 2) * AT_ONCE


def test_what_goes_wrong_in_a_worker_is_raised_and_ends_the_others():
    def items(number):
        yield number
        if number == 2:
            raise ValueError("two")

    before = torch.get_num_threads(), cv2.getNumThreads(), threading.active_count()
    with pytest.raises(ValueError, match="two"):
        list(in_order((items(number) for number in itertools.count()), 2))
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before[:2]


def test_threads_are_as_before_once_the_last_one_is_done():
    cv2.setNumThreads(2)
    first, second = one_thread_each(), one_thread_each()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(1)


@pytest.mark.parametrize("name", ["dis-splat", "tiny-di"])
def test_frames_are_the_same_however_many_workers(name):
    clip, _ = clip_tensor(5)
    frames = [TimedFrame((each * 255).byte().permute(1, 2, 0).numpy(), float(k)) for k, each in enumerate(clip[:5])]
    times = np.arange(0, 4.2, 0.3)
    drawn = [
        list(retime_pairs(frame_pairs(frames, cuts=False), times, load_interpolator(name), workers=workers))
        for workers in (1, 2, 3)
    ]
    assert len(drawn[0]) == len(times)
    for others in drawn[1:]:
        assert all(map(np.array_equal, drawn[0], others))


def test_the_first_frame_is_timed_once():
    clip, _ = clip_tensor(3)
    frames = [TimedFrame((each * 255).byte().permute(1, 2, 0).numpy(), float(k)) for k, each in enumerate(clip[:3])]
    seconds = []
    pairs = frame_pairs(frames, cuts=False)
    list(retime_pairs(pairs, [0, 0.5, 1, 1.5], load_interpolator("blend"), workers=2, on_first=seconds.append))
    assert len(seconds) == 1 and 0 < seconds[0] < 60


def test_costs_are_counted_and_told():
    times = np.array([0.0, 1.0, 3.0])
    assert frames_between([0, 0.5, 1, 1 + 1e-9, 2, 3, 4], times, MEETS) == 2
    assert describe_cost(900, 9, 1) == "up to 900 frames to draw, 9.00 s each, 1 at a time: about 2:15:00"
    blend = load_interpolator("blend")
    line = predicted_cost(blend, 10, 8, 64, 96)
    assert "s a frame as timed here" in line and "0.4 GB" in line


def test_workers_fit_into_the_memory(monkeypatch):
    from gen_inbetween.interpolation.retiming import cost

    blend = load_interpolator("blend")
    monkeypatch.setattr(cost, "free_cores", lambda: 8)
    for free, workers in ((None, 8), (1e12, 8), (7 * pair_bytes("blend", 720, 1280), 3), (0, 1)):
        monkeypatch.setattr(cost, "free_memory", lambda free=free: free)
        assert usual_workers(blend, 720, 1280) == workers


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_a_number_of_workers_that_is_none(tmp_path, workers):
    with pytest.raises(InterpolatorError, match="expected workers to be 1 or more"):
        retime_video(tmp_path / "a.mp4", tmp_path / "b.mp4", fps=30, workers=workers)
