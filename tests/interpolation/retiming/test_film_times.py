"""Films with times as cameras, recorders and browsers write them: T04 to T17 and X03 of the reported cases."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_cases import film, numbers, write_film

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.video import open_source, read_frames

NEAREST = {"interpolator": "nearest", "progress": False}


def rewrapped(source: Path, path: Path, shift: float = 0.0, last: float | None = None, **options: str) -> Path:
    """The packets of a film in another container, `shift` seconds later; last: how long its last frame is shown."""
    with av.open(str(source)) as film_in, av.open(str(path), "w", options=options) as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in film_in.streams}
        for packet in film_in.demux():
            if packet.size:
                ticks = round(Fraction(shift) / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                if last is not None and packet.pts * packet.time_base > 1:
                    packet.duration = round(Fraction(last) / packet.time_base)
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return path


def steady(shown: list[int], count: int) -> bool:
    """Whether 2 * count frames show each of `count` twice, in order; at a half the nearest is either neighbour."""
    halves = zip(shown, (number / 2 for number in range(2 * count)), strict=True)
    return all(abs(number - min(place, count - 1)) <= 0.5 for number, place in halves)


def jitter(count: int, unit: int) -> list[int]:
    """Times of a phone's camera at 30 frames a second, with a pause of 0.1 s, as T01 has them."""
    return [round((n / 30 + 0.006 * np.sin(1.7 * n) + (0.1 if n > 14 else 0)) * unit) for n in range(count)]


def test_the_last_frame_of_a_varying_rate_is_shown_as_long_as_it_is(tmp_path: Path) -> None:
    """53 frames at 48 fps of a film of 1.095 s: the 51 once expected end where its last frame begins, 1.062 s."""
    ticks = jitter(30, 90_000)
    plain = write_film(tmp_path / "plain.mp4", film(30), ticks=ticks, unit=Fraction(1, 90_000), bf=0)
    path = rewrapped(plain, tmp_path / "a.mp4", last=1 / 30)
    lasting = open_source(path).between().duration
    assert lasting == pytest.approx(ticks[-1] / 90_000 + 1 / 30, abs=0.01)
    made = retime_video(path, tmp_path / "o.mp4", fps=48, **NEAREST)
    assert made.written == round(48 * lasting) > 48 * ticks[-1] / 90_000 + 1
    shown = numbers(tmp_path / "o.mp4")
    assert shown == sorted(shown) and set(shown) == set(range(30))


@pytest.mark.parametrize("name", ["a.webm", "a.mkv"])
def test_a_varying_rate_in_milliseconds_slows_to_its_own_mean(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    path = write_film(tmp_path / name, film(30), ticks=jitter(30, 1000), unit=Fraction(1, 1000), codec=codec)
    made = retime_video(path, tmp_path / "o.mp4", scale=2, **NEAREST)
    assert made.written == pytest.approx(60, abs=3) and 27 < made.fps < 31
    shown = numbers(tmp_path / "o.mp4")
    assert shown == sorted(shown) and set(shown) == set(range(30))


def test_a_rate_that_changes_midway_keeps_even_times(tmp_path: Path) -> None:
    ticks = [*range(0, 75, 5), *(75 + 4 * number for number in range(15))]  # 24, then 30 frames a second
    plain = write_film(tmp_path / "plain.mkv", film(30), ticks=ticks, unit=Fraction(1, 120), bf=0)
    path = rewrapped(plain, tmp_path / "a.mkv", last=4 / 120)
    made = retime_video(path, tmp_path / "o.mp4", scale=2, **NEAREST)
    assert made.written == 60 and made.fps == pytest.approx(30 / (ticks[-1] + 4) * 120, rel=0.01)
    shown = np.array(numbers(tmp_path / "o.mp4"))
    begins = [np.flatnonzero(shown == number)[0] / made.fps / 2 for number in range(30)]
    assert np.abs(np.array(begins) - np.array(ticks) / 120).max() < 0.03


@pytest.mark.parametrize("shift", [1.4, 95_443.0], ids=["a start of 1.4 s", "the clock of 26.5 hours wraps"])
def test_a_transport_stream_keeps_its_times_and_its_sound(tmp_path: Path, shift: float) -> None:
    plain = write_film(tmp_path / "plain.mp4", film(30), tone=1.25, bf=0)
    path = rewrapped(plain, tmp_path / "a.ts", shift, mpegts_copyts="1")
    made = retime_video(path, tmp_path / "o.mp4", fps=48, **NEAREST)
    assert (made.written, made.duration, made.damaged) == (60, 1.25, 0)
    assert steady(numbers(tmp_path / "o.mp4"), 30)
    with av.open(str(tmp_path / "o.mp4")) as container:
        sound = [packet for packet in container.demux(audio=0) if packet.size]
    assert float(sound[-1].pts * sound[-1].time_base) == pytest.approx(1.25, abs=0.05)


@pytest.mark.parametrize(
    ("name", "options"), [("a.mp4", {"movflags": "frag_keyframe+empty_moov"}), ("a.webm", {"live": "1"})]
)
def test_a_recording_that_says_no_length_is_whole(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    plain = write_film(tmp_path / f"plain{Path(name).suffix}", film(12), codec=codec)
    path = rewrapped(plain, tmp_path / name, **options)
    with av.open(str(path)) as container:
        assert name == "a.mp4" or not container.streams.video[0].duration
    made = retime_video(path, tmp_path / "o.mp4", fps=48, **NEAREST)
    assert (made.written, made.duration) == (24, 0.5)
    assert steady(numbers(tmp_path / "o.mp4"), 12)


def test_drawings_on_twos_move_evenly_where_repeats_are_replaced(tmp_path: Path) -> None:
    repeated = [frame for frame in film(30)[::2] for _ in range(2)]  # 15 drawings, each for two frames
    path = write_film(tmp_path / "a.mkv", repeated, codec="ffv1")
    drawings = [np.asarray(frame, float) for frame in read_frames(path).frames[::2]]
    retime_video(path, tmp_path / "o", fps=48, duplicates="replace", interpolator="blend", progress=False)
    made = read_frames(tmp_path / "o").frames
    assert len(made) == 60  # the film has 24 frames a second, and so 12 drawings
    for number, frame in enumerate(made):  # each at its own share of the way from drawing to drawing
        place = min(number / 48 * 12, 14)
        before, share = int(place), place - int(place)
        wanted = (1 - share) * drawings[before] + share * drawings[min(before + 1, 14)]
        assert np.abs(np.asarray(frame) - wanted).mean() < 1, number


def test_the_times_of_common_films_stay(tmp_path: Path) -> None:
    """Rates of NTSC, and a film that begins at 5 s: every frame, and no other."""
    for rate in (Fraction(24_000, 1001), Fraction(60_000, 1001)):
        path = write_film(tmp_path / f"{rate.numerator}.mkv", film(24), unit=1 / rate)
        made = retime_video(path, tmp_path / f"{rate.numerator}_o.mp4", scale=2, **NEAREST)
        assert made.written == 48 and made.fps == float(rate)
        with av.open(str(made.path)) as container:
            assert container.streams.video[0].average_rate == rate
    plain = write_film(tmp_path / "plain.mp4", film(30), tone=1.25, g=30, bf=2)
    late = rewrapped(plain, tmp_path / "late.mkv", 5.0)
    assert retime_video(late, tmp_path / "late_o.mp4", fps=48, **NEAREST).written == 60
    assert steady(numbers(tmp_path / "late_o.mp4"), 30)


def test_a_film_cut_by_its_edit_list_begins_where_the_list_does(tmp_path: Path) -> None:
    """Cut without encoding anew: the frames from the key frame on are stored, and not shown before the cut."""
    plain = write_film(tmp_path / "plain.mp4", film(30), g=30, bf=0)
    path = rewrapped(plain, tmp_path / "a.mp4", -8 / 24, avoid_negative_ts="disabled", use_editlist="1")
    made = retime_video(path, tmp_path / "o.mp4", fps=48, **NEAREST)
    shown = numbers(tmp_path / "o.mp4")
    assert made.written == 44 and (shown[0], shown[-1]) == (8, 29)
    assert steady([number - 8 for number in shown], 22)


@pytest.mark.parametrize(("name", "codec", "count"), [("a.mjpeg", "mjpeg", 24), ("a.y4m", "rawvideo", 24)])
def test_raw_pictures_one_after_another_are_a_film(tmp_path: Path, name: str, codec: str, count: int) -> None:
    with av.open(str(tmp_path / name), "w", format={"mjpeg": "mjpeg"}.get(codec, "yuv4mpegpipe")) as out:
        stream = out.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for image in film(12):
            out.mux(stream.encode(av.VideoFrame.from_image(image).reformat(format=stream.pix_fmt)))
        out.mux(stream.encode())
    made = retime_video(tmp_path / name, tmp_path / "o.mkv", fps=48, **NEAREST)
    assert made.written in (count, count - 1)  # a raw stream has no times: FFmpeg takes 25 frames a second for it
    shown = numbers(tmp_path / "o.mkv")
    assert shown == sorted(shown) and set(shown) == set(range(12))
