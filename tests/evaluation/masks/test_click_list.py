"""Lists of clicks: their pictures, their truth, their scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gen_inbetween.evaluation.masks.click_list import draw_clicks, draw_collage, picture_of, read_clicks, truth_of
from gen_inbetween.evaluation.masks.following import Moment, said_of_lost
from gen_inbetween.evaluation.masks.scores import correcting_click, grouped_interval, iou

LISTS = Path(__file__).resolve().parents[3] / "eval" / "lists"


@pytest.mark.parametrize("name", ["clicks", "clicks_development"])
def test_the_clicks_of_a_list_are_on_their_things(name):
    rows = read_clicks(LISTS / f"{name}.jsonl")
    assert len({row["id"] for row in rows}) == len(rows) > 90
    photographs = [row for row in rows if row["kind"] == "photograph" and picture_of(row) is not None]
    for row in photographs:
        truth, (x, y) = truth_of(row, rows), row["click"]
        assert truth is None or truth[y, x], row["id"]


def test_the_two_lists_share_no_picture():
    frozen, development = (
        {(row["kind"], row.get("picture", row.get("seed"))) for row in read_clicks(LISTS / f"{name}.jsonl")}
        for name in ("clicks", "clicks_development")
    )
    assert not frozen & development


def test_drawn_clicks_are_the_same_again_and_inside():
    pytest.importorskip("skimage")
    rows = draw_clicks("world", range(3), (64,))
    assert rows == draw_clicks("world", range(3), (64,)) and any(row["object"] is None for row in rows)
    for row in rows:
        truth, (x, y) = truth_of(row, rows), row["click"]
        assert picture_of(row).shape == (64, 64, 3) and (truth is None or truth[y, x])


def test_a_collage_shows_another_photograph_inside_its_mask():
    photographs = [np.full((80, 90, 3), level, np.uint8) for level in (20, 120, 220)]
    picture, mask = draw_collage(1, 64, photographs)
    assert 0.01 < mask.mean() < 0.6
    assert abs(picture[mask[0]].mean() - picture[~mask[0]].mean()) > 20


def test_scores_of_masks():
    mask, truth = np.zeros((2, 40, 60), bool)
    truth[10:30, 10:50] = True
    mask[10:30, 10:30] = True
    assert iou(mask, truth) == 0.5 and iou(mask & False, mask & False) == 1
    on, (x, y) = correcting_click(mask, truth)
    assert on and 35 < x < 45 and 15 < y < 25
    on, (x, y) = correcting_click(truth, mask)
    assert not on and 35 < x < 45


def test_an_interval_draws_whole_pictures():
    alone = grouped_interval([0.0, 1.0, 0.0, 1.0], [1, 2, 3, 4])
    together = grouped_interval([0.0, 1.0] * 8, [1, 2] * 8)
    assert together.mean == 0.5 and (together.low, together.high) == (0, 1) and alone.high - alone.low <= 1
    assert np.isnan(grouped_interval([0.3, 0.4], ["one", "one"]).low)


def test_lost_is_counted_against_the_truth():
    moments = [
        Moment("a", 0, 1, 0.9, False, 0.9, False),
        Moment("a", 0, 2, 0.2, False, 0.3, True),
        Moment("a", 0, 3, 0.0, True, 0.1, True),
        Moment("a", 0, 4, 0.3, False, 0.9, False),
        Moment("a", 0, 5, 0.8, False, 0.5, True),
    ]
    assert said_of_lost(moments) == pytest.approx(
        {"said": 3, "true": 3, "right": 2, "precision": 2 / 3, "recall": 2 / 3}
    )
