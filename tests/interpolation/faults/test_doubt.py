"""Which seconds of a film are doubtful: spans, notices, bounded curves; what is measured on real pixels."""

from __future__ import annotations

import numpy as np
import pytest
from doubt_cases import JUMP, jumping

from gen_inbetween.interpolation.faults.doubt import (
    DOUBTFUL,
    KINDS,
    MOST_POINTS,
    MOST_SPANS,
    FilmQuality,
    PairQuality,
    join_nearest,
)
from gen_inbetween.interpolation.faults.pair_meter import PairMeter


def film_of(doubts, kind="drawn", step=0.1):
    quality = FilmQuality()
    for number, doubt in enumerate(doubts):
        quality.add(PairQuality(step * number, step * (number + 1), kind, 2 * doubt, doubt))
    return quality


def test_doubtful_pairs_that_follow_each_other_are_one_span_and_the_notice_names_it():
    quality = film_of([0, 41, 50, 0, 0, 60])
    assert quality.doubtful == [(0.1, pytest.approx(0.3)), (0.5, pytest.approx(0.6))]
    assert quality.notice() == "large motion at 00:00.1-00:00.3, 00:00.5-00:00.6 (0.3 of 0.6 s)"
    assert film_of([DOUBTFUL]).notice() is None and FilmQuality().notice() is None


def test_the_record_is_bounded_and_keeps_every_peak():
    doubts = [0.0] * 5000
    doubts[::7] = [60.0] * len(doubts[::7])
    doubts[1234] = 99.0
    record = film_of(doubts).record()
    assert len(record["curve"]["doubt"]) == MOST_POINTS and max(record["curve"]["doubt"]) == 99.0
    assert record["curve"]["motion"] == [2 * doubt for doubt in record["curve"]["doubt"]]
    assert len(record["spans"]["doubtful"]) == MOST_SPANS
    assert record["pairs"] == {kind: 5000 * (kind == "drawn") for kind in KINDS}
    assert record["doubtful_seconds"] == pytest.approx(0.1 * sum(doubt > DOUBTFUL for doubt in doubts), abs=0.01)


def test_the_smallest_gaps_are_joined():
    assert join_nearest([(0, 1), (1.1, 2), (5, 6), (6.5, 7), (20, 21)], 3) == [(0, 2), (5, 7), (20, 21)]
    assert join_nearest([], 3) == []


def test_the_worst_moments_are_not_all_in_one_place():
    quality = film_of([90, 89, 88, 87] + [0] * 20 + [60])
    assert [pair.doubt for pair in quality.worst(3)] == [90, 87, 60]
    assert film_of([1, 3, 2]).worst(3) == [] and film_of([1, 3, 2]).worst(1, limit=0.0)[0].doubt == 3


def test_a_jump_is_doubtful_and_a_step_is_not():
    frames = [np.asarray(frame) for frame in jumping()]
    meter = PairMeter()
    figures = [meter.measure(*pair) for pair in zip(frames, frames[1:], strict=False)]
    assert max(range(len(figures)), key=lambda number: figures[number][1]) == JUMP
    assert figures[JUMP][1] > DOUBTFUL
    assert all(doubt < DOUBTFUL for number, (_, doubt) in enumerate(figures) if number != JUMP), figures
    deep = [frame.astype(np.uint16) * 257 for frame in frames[JUMP : JUMP + 2]]
    assert PairMeter().measure(*deep)[1] == pytest.approx(figures[JUMP][1], abs=0.5)
    clear = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in frames[JUMP : JUMP + 2]]
    assert PairMeter().measure(*clear) == figures[JUMP]


@pytest.mark.parametrize("size", [(16, 16), (1200, 32), (4000, 16), (16, 4000)])
def test_frames_of_any_shape_are_measured(size: tuple[int, int]):
    first = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    motion, doubt = PairMeter().measure(first, first)
    assert (motion, doubt) == (0, 0)
