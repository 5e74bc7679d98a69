"""Times of frames from what packets say, whatever they say."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from film_cases import film, numbers, tone_frame, with_cover, write_film

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.times.pauses import find_holds, mean_rate
from gen_inbetween.media.times.stamps import check_one_recording, constant_rate, spread_equal
from gen_inbetween.media.video import open_source, read_frames

NEAREST = {"interpolator": "nearest", "progress": False}


@pytest.fixture(autouse=True)
def notices(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gen_inbetween")


def jitter(count: int, pause: float = 0.0) -> list[int]:
    """Ticks of 1/90000 s of a phone's film, near 30 fps, with a pause in the middle."""
    seconds = [n / 30 + 0.006 * np.sin(1.7 * n) + (pause if n >= count // 2 else 0) for n in range(count)]
    return [round(90_000 * second) for second in seconds]


@pytest.mark.parametrize("clock", [90_000, 600])
def test_the_unit_of_a_clock_is_no_frame_rate(tmp_path: Path, clock: int, caplog: pytest.LogCaptureFixture) -> None:
    ticks = [round(tick * clock / 90_000) for tick in jitter(20, 0.1)]
    source = write_film(tmp_path / "v.mp4", film(20), ticks=ticks, unit=Fraction(1, clock))
    timed = open_source(source).between()
    assert timed.variable and 25 < timed.rate < 31 and not timed.holds
    made = retime_video(source, tmp_path / "slow.mp4", scale=2, **NEAREST)
    assert made.written == 40 and 25 < made.fps < 31
    assert numbers(tmp_path / "slow.mp4") == sorted(numbers(tmp_path / "slow.mp4"))
    assert retime_video(source, tmp_path / "round.mp4", loop=True, **NEAREST).written == 20
    assert "not there" not in caplog.text


def test_most_frames_of_a_rate_follow_each_other_at_it() -> None:
    grid = np.array([0, 1, 2, 3, 7, 8, 9])
    assert constant_rate(grid * 20, Fraction(1, 600), (Fraction(600), Fraction(30)))[0] == 30
    assert constant_rate(grid, Fraction(1, 30), (Fraction(30),))[1].tolist() == grid.tolist()
    assert constant_rate(grid * 25, Fraction(1, 600), (Fraction(120),))[0] is None  # 24 fps on a grid of 120


@pytest.mark.parametrize(("name", "codec"), [("raw.h264", "libx264"), ("raw.hevc", "libx265")])
@pytest.mark.parametrize("bframes", [0, 2])
def test_raw_streams_without_times_keep_every_frame(tmp_path: Path, name: str, codec: str, bframes: int) -> None:
    source = write_film(tmp_path / name, film(12), codec=codec, bf=bframes)
    assert open_source(source).between().times.tolist() == pytest.approx([n / 24 for n in range(12)])
    assert read_frames(source).fps == 24
    made = retime_video(source, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert (made.source_frames, made.written, made.duration, made.damaged) == (12, 24, 0.5, 0)
    assert numbers(tmp_path / "out.mp4")[::2] == list(range(12))


def test_frames_of_one_time_stamp_are_all_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_film(tmp_path / "d.mkv", film(12), bf=0, shared=2)
    made = retime_video(source, tmp_path / "out.mp4", fps=24, **NEAREST)
    assert (made.source_frames, made.damaged) == (12, 0)
    assert numbers(tmp_path / "out.mp4") == list(range(12))
    assert "6 frames bear the time stamp of the one before" in caplog.text and "damaged" not in caplog.text


def test_equal_stamps_share_the_time_until_the_next() -> None:
    assert spread_equal(np.array([0, 4, 4, 4, 4, 8])).tolist() == [0, 4, 5, 6, 7, 8]
    assert spread_equal(np.array([0, 2, 4])).tolist() == [0, 2, 4]
    assert (np.diff(spread_equal(np.array([5, 5, 5]))) > 0).all()


def test_one_stamp_for_all_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_film(tmp_path / "d.mkv", film(12), ticks=[0] * 12, unit=Fraction(1, 24), bf=0)
    made = retime_video(source, tmp_path / "out.mp4", fps=24, **NEAREST)
    assert (made.source_frames, made.damaged) == (12, 0) and numbers(tmp_path / "out.mp4") == list(range(12))
    assert "has no times of its frames: all 12 follow each other" in caplog.text


# Pictures that stand


def test_a_picture_that_stands_for_seconds_is_not_drawn_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ticks = [n + (60 if n > 5 else 0) for n in range(12)]
    source = write_film(tmp_path / "screen.mkv", film(12), ticks=ticks, unit=Fraction(1, 30))
    made = retime_video(source, tmp_path / "frames", fps=60, interpolator="blend", progress=False)
    assert "pictures that stand still: 1, for 2.03 s at most" in caplog.text and "not there" not in caplog.text
    shown, own = read_frames(tmp_path / "frames").frames, read_frames(source).frames
    assert made.written == len(shown) == 144 and made.duplicates == 0
    assert all(np.array_equal(frame, own[5]) for frame in shown[10:132])
    assert np.array_equal(shown[132], own[6]) and not np.array_equal(shown[133], own[6])  # then it moves again
    retime_video(source, tmp_path / "bent", fps=60, curve="0:0,1:1", loop=True, interpolator="blend", progress=False)
    assert all(np.array_equal(frame, own[5]) for frame in read_frames(tmp_path / "bent").frames[12:130])


def test_a_part_shows_of_a_picture_that_stands_what_lies_in_it(tmp_path: Path) -> None:
    """A pause of an hour does not make half a second of film an hour long, and is there where a part begins in it."""
    ticks = [n + (30 * 3600 if n > 5 else 0) for n in range(12)]
    source = write_film(tmp_path / "screen.mkv", film(12), ticks=ticks, unit=Fraction(1, 30))
    made = retime_video(source, tmp_path / "o.mp4", fps=30, stop=1, **NEAREST)
    assert (made.written, made.duration) == (30, 1.0)
    assert numbers(tmp_path / "o.mp4") == [0, 1, 2, 3, 4, *[5] * 25]
    made = retime_video(source, tmp_path / "o.mp4", fps=30, start=3600, **NEAREST)
    shown = numbers(tmp_path / "o.mp4")
    assert (made.source_frames, made.written) == (7, 12) and shown[:6] == [5] * 6 and shown[6:] == list(range(6, 12))
    part = open_source(source).between(10, 20)
    assert (part.chosen, part.duration, list(part.times), part.rate) == (slice(5, 6), 10, [0], 30)


def test_a_pause_is_told_by_the_usual_step() -> None:
    moving = np.arange(10) / 10
    assert not find_holds(moving).any()
    assert not find_holds(2.0 * np.arange(5)).any()  # a show of slides is no film with pauses
    paused = np.append(moving, moving[-1] + [0.1, 2.1, 2.2, 2.3])
    assert np.flatnonzero(find_holds(paused)).tolist() == [10]
    assert mean_rate(paused) == 10
    assert not find_holds(np.array([0.0, 3.0])).any() and mean_rate(np.array([0.0, 0.5])) == 2


# Which stream is the film


@pytest.mark.parametrize("name", ["c.mkv", "c.mp4"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("marked", [True, False])
def test_cover_art_is_not_the_film(tmp_path: Path, name: str, first: bool, marked: bool) -> None:
    source = with_cover(tmp_path / name, first=first, marked=marked)
    assert numbers(source) == list(range(12))
    assert list(open_source(source).times * 24) == pytest.approx(range(12))
    made = retime_video(source, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert made.written == 24 and numbers(tmp_path / "out.mp4")[::2] == list(range(12))
    assert len(read_frames(source).frames) == 12  # whichever reader


def test_music_with_a_cover_holds_no_film(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        heard = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 48, "yuvj420p", Disposition.attached_pic
        container.mux(heard.encode(tone_frame(0.2)))
        container.mux(heard.encode())
        container.mux(cover.encode(av.VideoFrame.from_image(film(1)[0])))
        container.mux(cover.encode())
    with pytest.raises(VideoError, match="holds no video stream, only a picture: cover art"):
        open_source(tmp_path / "song.m4a").between()


def test_of_two_films_the_first_is_taken(tmp_path: Path) -> None:
    parts = [write_film(tmp_path / f"{count}.mp4", film(count)) for count in (12, 20)]
    with av.open(str(tmp_path / "two.mkv"), "w") as container, av.open(str(parts[0])) as a, av.open(str(parts[1])) as b:
        streams = [container.add_stream_from_template(part.streams.video[0]) for part in (a, b)]
        for part, stream in zip((a, b), streams, strict=True):
            for packet in part.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)
    assert len(read_frames(tmp_path / "two.mkv").frames) == 12 == len(open_source(tmp_path / "two.mkv").times)


def test_recordings_joined_end_to_end_are_refused_with_what_to_do(tmp_path: Path) -> None:
    parts = [write_film(tmp_path / f"{count}.ts", film(count), bf=2) for count in (30, 40)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(VideoError, match=r"start anew 1\.\d s after.*ffmpeg -i joined.ts -c copy joined.mkv"):
        open_source(joined).between()
    assert all(len(open_source(part).between().times) == count for part, count in zip(parts, (30, 40), strict=True))


def test_a_single_stamp_that_falls_back_is_damage() -> None:
    ticks = np.arange(40) * 3600
    ticks[20] = 0
    check_one_recording(ticks, Fraction(1, 90_000), Path("v.ts"))
    ticks[20:] -= ticks[-1]
    with pytest.raises(VideoError, match=r"start anew 0\.8 s after"):
        check_one_recording(ticks, Fraction(1, 90_000), Path("v.ts"))


def test_a_film_cut_off_before_its_first_frame_says_so(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mkv", film(12)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75") + 20])  # in its first cluster
    with pytest.raises(VideoError, match="without a single frame"):
        retime_video(tmp_path / "cut.mkv", tmp_path / "out.mp4", fps=48, **NEAREST)
    with pytest.raises(VideoError, match="no frame that can be read; it may be cut off"):
        read_frames(tmp_path / "cut.mkv")
