"""GIF, WebP and PNG animations: their own times, decoded once where they are small."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_cases import film, number_of
from media_cases import arrays, moving
from PIL import Image

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media import animation as animations
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video


def test_each_frame_is_shown_as_long_as_it_says(tmp_path: Path) -> None:
    frames = moving(4)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 300, 0, 200])
    timed = open_source(tmp_path / "a.gif").between()
    assert timed.times.tolist() == pytest.approx([0, 0.1, 0.4, 0.5]) and timed.duration == pytest.approx(0.7)
    assert timed.variable
    part = open_source(tmp_path / "a.gif").between(0.1, 0.45)
    assert [round(seconds, 3) for _, seconds in part.frames()] == [0, 0.3] and part.origin == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_is_decoded_once_unless_it_is_large(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(moving(5), tmp_path / name, 10)
    looks = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **more: looks.append(1) or original(*args, **more))
    small = read_frames(path)
    source = open_source(path)
    timed = [frame for frame, _ in source.between(0.1).frames()]
    assert len(looks) == 2 and source.fps == small.fps == 10
    monkeypatch.setattr(animations, "KEPT_BYTES", 1000)
    large = read_frames(path)
    assert len(looks) == 4
    assert np.array_equal(arrays(large.frames), arrays(small.frames))
    assert np.array_equal(arrays(timed), arrays(small.frames)[1:])


def gif(path: Path, durations: list[int], **more: object) -> Path:
    first, *others = film(len(durations))
    first.save(path, save_all=True, append_images=others, duration=durations, **more)
    return path


@pytest.mark.parametrize(("stated", "shown"), [(0, 100), (10, 100), (20, 20), (50, 50)])
def test_a_gif_is_as_fast_as_browsers_play_it(tmp_path: Path, stated: int, shown: int) -> None:
    source = gif(tmp_path / "a.gif", [stated] * 8, loop=0)
    timed = open_source(source).between()
    assert timed.duration == pytest.approx(0.008 * shown) and timed.rate == Fraction(1000, shown)
    assert read_frames(source).fps == pytest.approx(1000 / shown)
    made = retime_video(source, tmp_path / "out", fps=50, interpolator="nearest", progress=False)
    assert made.written == round(0.4 * shown)


@pytest.mark.parametrize("name", ["a.webp", "a.apng"])
def test_animations_faster_than_browsers_play_say_so(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_video(film(4), tmp_path / name, 200)
    assert "players slow down above 90.9 fps" in caplog.text
    assert open_source(tmp_path / name).between().duration == pytest.approx(0.044)


def test_a_pause_of_an_animation_stands(tmp_path: Path) -> None:
    source = gif(tmp_path / "a.gif", [100, 100, 1500, 100, 100], loop=0)
    retime_video(source, tmp_path / "out", fps=20, interpolator="blend", progress=False)
    frames = arrays(read_frames(tmp_path / "out").frames)
    assert len(frames) == 38
    assert np.ptp(frames[4:34], axis=0).max() == 0 and np.ptp(frames[1:4], axis=0).max() > 0
    assert open_source(source).between().rate == 10


@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("kind", ["gif", "webp", "apng"])
def test_how_often_an_animation_is_played_is_kept(tmp_path: Path, kind: str, plays: int) -> None:
    source = write_video(film(4), tmp_path / f"a.{kind}", 10, plays=plays)
    assert open_source(source).between().plays == plays
    for other in ("gif", "webp", "apng"):
        retime_video(source, tmp_path / f"out.{other}", fps=20, interpolator="nearest", progress=False)
        assert open_source(tmp_path / f"out.{other}").between().plays == plays
    retime_video(source, tmp_path / "round.gif", loop=True, interpolator="nearest", progress=False)
    assert open_source(tmp_path / "round.gif").between().plays == 0  # that is what a loop is for


def test_a_gif_that_does_not_say_is_played_once(tmp_path: Path) -> None:
    assert open_source(gif(tmp_path / "a.gif", [100] * 3)).between().plays == 1
    assert open_source(gif(tmp_path / "b.gif", [100] * 3, loop=0)).between().plays == 0
    assert open_source(gif(tmp_path / "c.gif", [100] * 3, loop=2)).between().plays == 3


def test_the_picture_for_programs_without_animation_is_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    film(40)[39].save(path, save_all=True, default_image=True, append_images=film(4), duration=100, loop=0)
    assert [number_of(frame) for frame in read_frames(path).frames] == [0, 1, 2, 3]
    assert open_source(path).between().duration == pytest.approx(0.4)
    made = retime_video(path, tmp_path / "out.apng", fps=20, interpolator="nearest", progress=False)
    assert made.source_frames == 4
    assert {number_of(frame) for frame in read_frames(tmp_path / "out.apng").frames} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "a.apng"])
def test_frames_are_written_at_their_own_times(tmp_path: Path, name: str) -> None:
    starts = [0, 0.04, 0.1, 0.14, 0.44, 0.48, 0.6]
    write_video(film(6), tmp_path / name, 10, starts=starts)
    timed = open_source(tmp_path / name).between()
    assert timed.times.tolist() == pytest.approx(starts[:-1], abs=2e-3)
    if name not in ("a.mkv", "a.webm"):  # which do not say how long the last one is shown
        assert timed.duration == pytest.approx(0.6, abs=2e-3)
    assert [number_of(frame) for frame in read_frames(tmp_path / name).frames] == list(range(6))


def test_an_avi_cannot_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gen_inbetween")
    write_video(film(3), tmp_path / "a.avi", 10, starts=[0, 0.1, 0.3, 0.4])
    assert "a.avi knows no varying rate: its frames follow each other at 10 fps" in caplog.text
    assert len(read_frames(tmp_path / "a.avi").frames) == 3
