"""Words on the page."""

import numpy as np
import pytest
from page_cases import scene

from gen_inbetween.app.page.clips import judged
from gen_inbetween.app.page.words import Clock, error_in_words, status
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.interpolation.faults.words import faults_in_words
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import FrameError
from gen_inbetween.models.demo_pairs import keyframes


def test_faults_have_words_and_their_absence_too():
    assert faults_in_words({"bounce": 0.9, "ghosting": 0.9, "freeze": None}) == "turns back, two copies"
    assert faults_in_words({"bounce": 0.0, "ghosting": float("nan")}) == "no fault found"


def test_a_status_is_text_whatever_it_holds():
    line = status("<img src=x onerror=alert(1)>", kind="error")
    assert "<img" not in line and 'role="alert"' in line
    assert 'max="4" value="2"' in status("", done=2, total=4)
    assert "run <code>hf &lt;x&gt;</code>" in status("run `hf <x>`")


def test_an_error_is_a_sentence_without_our_folders():
    path = "/data/page/files/1234/holiday.jpg"
    said = error_in_words(FrameError(f"{path} is no picture"), [path, None])
    assert said == "Holiday.jpg is no picture."
    assert error_in_words(FileNotFoundError(2, "No such file", "/data/secret")) == "No such file."
    assert "RuntimeError" in error_in_words(RuntimeError("/data/secret broke"))
    assert "secret" not in error_in_words(RuntimeError("/data/secret broke"))


def test_time_left_goes_by_the_pace_since_the_first_step(monkeypatch):
    now = iter([0.0, 100.0, 104.0])
    monkeypatch.setattr("gen_inbetween.app.page.words.time.monotonic", lambda: next(now))
    clock = Clock()
    assert clock.left(1, 5) is None  # a hundred seconds for opening the model
    assert clock.left(3, 5) == 4.0


EVEN = np.linspace(0, 3, 14)
THERE_AND_HALF_BACK = np.concatenate([np.linspace(0, 3, 9), np.linspace(3, 1.5, 5)])
WAITS = np.concatenate([np.zeros(5), np.linspace(0, 3, 9)])


@pytest.mark.parametrize(
    ("places", "words"),
    [(EVEN, "no fault found"), (THERE_AND_HALF_BACK, "turns back"), (WAITS, "stands still in places")],
)
def test_drawn_faults_are_named(places, words):
    assert words in judged(Clip([scene(place) for place in places], 7))


def test_a_cross_fade_is_two_copies():
    first, last = (np.asarray(scene(place)).astype(float) for place in (0, 3))
    frames = [((1 - share) * first + share * last).round().astype(np.uint8) for share in np.linspace(0, 1, 14)]
    assert judged(Clip(frames, 7)) == "two copies"


def test_an_interpolated_photograph_is_whole_though_it_is_made_of_two():
    """Both keyframes, moved to fit, are the same to the eye: a blend of them is no second copy."""
    clip = inbetween(*keyframes("photo"), method="interpolate", interpolator="dis-splat", num_frames=9, progress=False)
    assert judged(clip) == "no fault found"
