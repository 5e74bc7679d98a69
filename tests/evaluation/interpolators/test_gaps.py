"""What eval/flow_report.py is made of, on frames of a few pixels."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.evaluation.interpolators import limits, pages, speed
from gen_inbetween.evaluation.interpolators.gaps import MEASURES, GapScores, Moment, drawn_moments, film_moments
from gen_inbetween.evaluation.interpolators.limits import Trial, shares, triplets
from gen_inbetween.evaluation.interpolators.memory import moving_bars
from gen_inbetween.evaluation.interpolators.speed import Cost, call_of, time_frames
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import read_list
from gen_inbetween.generation.auto import Motion
from gen_inbetween.interpolation import load_interpolator
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.hashing import frames_sha256

ROOT = Path(__file__).resolve().parents[3]


def test_gaps_are_in_the_middle_of_one_moment():
    moment = Moment("m", np.arange(17, dtype=np.uint8)[:, None, None, None] * np.ones((17, 16, 16, 3), np.uint8))
    for gap in (2, 4, 8, 16):
        frames = moment.around(gap)[:, 0, 0, 0].tolist()
        assert frames == list(range(8 - gap // 2, 9 + gap // 2))


def test_moments_of_lists(tmp_path):
    pair = read_list(ROOT / "eval" / "lists" / "synthetic.jsonl").pairs[0]
    moment = next(drawn_moments([pair]))
    assert (moment.name, moment.frames.shape) == (pair.name, (17, 64, 64, 3))
    frames = np.random.default_rng(0).integers(0, 256, (19, 24, 32, 3), dtype=np.uint8)
    names = [f"{number:02}.png" for number in range(19)]
    for name, frame in zip(names, frames, strict=True):
        Image.fromarray(frame).save(tmp_path / name)
    long = Pair("long", {"frames": names}, 19, 25, None, 1.0, frames_sha256(frames))
    short = Pair("short", {"frames": names[:3]}, 3, 25, None, 1.0, frames_sha256(frames[:3]))
    found = list(film_moments([short, long], tmp_path, (32, 24)))
    assert [moment.name for moment in found] == ["long"]
    assert np.array_equal(found[0].frames, frames[1:18])


@pytest.fixture(scope="module")
def scored():
    """Three moments in which all brightens evenly but for one corner, which blend cannot know."""
    ramp = np.linspace(0, 160, 17)[:, None, None, None] + 40 * np.random.default_rng(0).random((32, 32, 3))
    moments = [Moment(f"m{number}", (ramp + number).astype(np.uint8)) for number in range(3)]
    for moment in moments:
        moment.frames[8, :8, :8] = 0
    scores = GapScores({name: load_interpolator(name) for name in ("blend", "nearest")}, gaps=(2, 8))
    for moment in moments:
        scores.add(moment)
    return moments, scores


def test_scores_are_of_each_interpolator_at_each_gap(scored):
    moments, scores = scored
    assert list(scores.values) == list(MEASURES)
    psnr = scores.values["psnr[inner]"]
    assert {label: {gap: len(values) for gap, values in gaps.items()} for label, gaps in psnr.items()} == {
        "truth": {2: 0, 8: 0}, "blend": {2: 3, 8: 3}, "nearest": {2: 3, 8: 3},
    }  # fmt: skip
    assert psnr["blend"][8][0] > psnr["nearest"][8][0] + 3
    assert len(scores.values["speed_uniformity"]["truth"][2]) == 3
    assert set(pages.typical_and_hard(moments, scores)) == {"typical", "hard"}


def test_tables_plot_and_sheet(scored, tmp_path):
    moments, scores = scored
    text = pages.gap_tables(scores)
    assert "| psnr[inner] (higher is better) | gap 2 | gap 8 |" in text
    assert len([line for line in text.splitlines() if line.startswith("| blend |")]) == len(MEASURES)
    assert len([line for line in text.splitlines() if line.startswith("| truth |")]) == 1
    apart = pages.difference_table(scores).splitlines()[2:]
    assert len(apart) == 1 and apart[0].startswith("| nearest | -") and apart[0].count("p = ") == 2
    plot = pages.gap_plot({"drawn": scores, "film": scores}, tmp_path / "psnr.png")
    sheet = pages.gap_sheet(moments[0], scores.interpolators, tmp_path / "sheet.png")
    assert Image.open(plot).width > 900
    assert Image.open(sheet).width > Image.open(sheet).height > 300


def test_speed_takes_the_middle_of_the_pairs_but_the_first(monkeypatch):
    pairs = [
        [9.0, 9.0, 9.0, 9.0],
        [1.0, 2.0, 2.0, 2.0],
        [3.0, 0.1, 0.2, 0.3],
        [2.0, 1.0, 0.5, 1.5],
    ]  # first, further ...
    seconds = iter(sum(pairs, []))
    monkeypatch.setattr(speed, "cpu_seconds", lambda call, *args: next(seconds))
    assert time_frames(call_of(load_interpolator("blend")), [(None, None)] * 4) == Cost(2.0, 1.0)
    table = pages.speed_table({"blend": Cost(2.0, 1.0)}, dis=0.5)
    assert "| blend | 2000.0 | 1000.0 | 2.0 |" in table


def test_pixels_of_frames_for_cv2():
    frame = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 4)
    assert speed.pixels(frame).tolist() == [[[0, 128, 255]] * 4] * 2


def test_triplets_leave_out_cuts_and_what_cannot_be_read(tmp_path, caplog):
    write_video(moving_bars(12), tmp_path / "bars.mp4", 25)
    black, white = (Image.new("RGB", (32, 32), shade) for shade in ("black", "white"))
    write_video([black] * 6 + [white] * 6, tmp_path / "cut.mp4", 25)
    (tmp_path / "broken.mp4").write_text("no film")
    found = list(triplets([tmp_path / name for name in ("bars.mp4", "cut.mp4", "broken.mp4")], places=(0.5,)))
    assert [(each.film, each.gap) for each in found] == [("bars", 2), ("bars", 4), ("bars", 8)]
    assert "left out: " in caplog.text
    trial = limits.try_triplet(found[2], load_interpolator("blend"))
    assert trial.motion.displacement == 0 and trial.motion.disagreement > 25 and not trial.good


def test_shares_count_what_is_below_both_limits():
    trials = [Trial(Motion(d, a), error) for d, a, error in [(1, 9, 5), (1, 50, 5), (5, 9, 90), (9, 9, 5), (9, 9, 90)]]
    assert shares(trials, 6, 32) == (2, 0.5, pytest.approx(1 / 3))
    assert shares(trials, math.inf, math.inf) == (5, 0.6, 1.0)
    assert "| disagreement up to 32 | 0.50 / 0.33 of 2 | 0.50 / 0.67 of 4 |" in pages.limits_table(
        trials, (6, math.inf), (32,)
    )


def test_memory_is_compared_with_the_shortest():
    found = pages.memory_table({250: {"written": 500, "peak_mb": 300.2}, 4000: {"written": 8000, "peak_mb": 304.6}})
    assert "| 4000 | 8000 | 305 | +4 |" in found


def test_what_is_not_here_is_left_out_and_said(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("flow_report", ROOT / "eval" / "flow_report.py")
    report = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(report)
    monkeypatch.setattr(report, "NAMES", ("blend", "superslomo"))
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    found, missing = report.opened()
    assert list(found) == ["blend"] and "Super-SloMo" in missing["superslomo"]
    assert "Left out: superslomo" in report.facts(found, missing)
    text = report.quality(found, tmp_path / "nowhere", 1, tmp_path / "pictures")
    assert "Real film left out" in text and "### Synthetic clips, 64x64, held out: 1 moments" in text
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "1-hard.png",
        "1-typical.png",
        "psnr.png",
    ]
    assert report.limits(found, [tmp_path / "film.mp4"]).startswith("Left out: none of the films")
    assert report.claims(tmp_path / "claims.md").startswith("Left out: no ")
