"""Windows of films: where they lie, how they are fitted, and scores that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.evaluation.interpolators.film_windows import (
    LENGTH,
    WindowScores,
    asked_frames,
    covered,
    film_windows,
    window_starts,
)
from gen_inbetween.evaluation.interpolators.gaps import Moment
from gen_inbetween.interpolation import load_interpolator


def test_windows_lie_evenly_and_hold_no_cut() -> None:
    still = np.zeros(40)  # 41 frames: starts 0 to 32
    assert window_starts(still, 1) == [16]
    assert window_starts(still, 3) == [5, 16, 27]
    cut = still.copy()
    cut[20] = 99.0  # between frames 20 and 21
    starts = window_starts(cut, 4)
    assert len(starts) == 4 and not any(start <= 20 < start + LENGTH - 1 for start in starts)
    assert window_starts(np.zeros(7), 2) == []  # 8 frames
    assert window_starts(np.zeros(8), 2) == [0]


def test_frames_cover_the_size_and_are_not_enlarged() -> None:
    ramp = np.broadcast_to(np.arange(120, dtype=np.uint8)[None, :, None], (60, 120, 3))
    frame = Image.fromarray(np.ascontiguousarray(ramp))
    fitted = covered(frame, (30, 30))
    assert fitted is not None and fitted.size == (30, 30)
    columns = np.asarray(fitted)[15, :, 0].astype(float)
    np.testing.assert_allclose(columns, 30.5 + 2 * np.arange(30), atol=1)  # the middle half, two pixels in one
    assert covered(frame, (120, 61)) is None


def test_windows_of_a_folder_of_frames(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("RGB", (40, 32), (number, 0, 0)).save(tmp_path / f"{number:02}.png")
    (window,) = film_windows(tmp_path, 1, (32, 32))
    assert window.frames.shape == (9, 32, 32, 3) and window.frames[:, 0, 0, 0].tolist() == list(range(2, 11))
    assert film_windows(tmp_path, 1, (64, 64)) == []
    assert asked_frames(window, 8, 2)[:, 0, 0, 0].tolist() == [2, 4, 6, 8, 10]
    assert asked_frames(window, 2, 2)[:, 0, 0, 0].tolist() == [5, 6, 7]


def test_scores_are_kept_until_the_interpolator_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.linspace(0, 160, 9)[:, None, None, None] + 60 * np.random.default_rng(0).random((32, 32, 3))
    windows = [Moment(name, ramp.astype(np.uint8)) for name in ("one", "two")]
    scores = WindowScores(tmp_path)
    first = scores.score(windows[:1], "blend", load_interpolator("blend"))
    assert first["psnr[inner]"][8][0] > 50 and first["sharpness"][2][0] == pytest.approx(1, abs=0.02)
    measured: list[str] = []
    score_window = WindowScores.score_window
    monkeypatch.setattr(WindowScores, "score_window", lambda *all_of: measured.append("one") or score_window(*all_of))
    both = WindowScores(tmp_path).score(windows, "blend", load_interpolator("blend"))
    assert len(measured) == 2 and both["psnr[inner]"][8] == first["psnr[inner]"][8] * 2  # one window, two gaps
    WindowScores(tmp_path).score(windows, "blend", load_interpolator("nearest"))  # another, under the same name
    assert len(measured) == 6
    assert json.loads((tmp_path / "blend.json").read_text())["info"]["name"] == "nearest"


def test_other_frames_under_the_same_name_are_measured(tmp_path: Path) -> None:
    """Of a film from which more windows are taken, or of another film of that name."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 9, 32, 32, 3)).astype(np.uint8)
    one, other = (Moment("film-0", frames) for frames in noise)
    blend = load_interpolator("blend")
    WindowScores(tmp_path / "kept").score([one], "blend", blend)
    kept = WindowScores(tmp_path / "kept").score([other], "blend", blend)
    assert kept == WindowScores(tmp_path / "fresh").score([other], "blend", blend)
