"""Retiming files: true frame times, whatever the source; sound; damage; going on after a kill."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gen_inbetween.interpolation.baselines import Still
from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.retiming import retime_video as retime_video_module
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media import segments
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.progress import listening

RATE = 48_000  # audio samples a second


def grey(levels, size=(48, 32)):
    """One flat frame for each level, with a dark corner by which turning shows."""
    frames = []
    for level in levels:
        pixels = np.full((size[1], size[0], 3), level, np.uint8)
        pixels[:8, :8] //= 4
        frames.append(Image.fromarray(pixels))
    return frames


def moving(count, size=(64, 48)):
    """A light square crosses coloured ground, two pixels a frame."""
    y, x = np.mgrid[: size[1], : size[0]]
    frames = []
    for number in range(count):
        pixels = np.stack([40 + 2 * x, 60 + 3 * y, 120 - x], -1).astype(np.uint8)
        place = 2 * number % (size[0] - 16)
        pixels[8:24, place : place + 16] = (250, 240, 20)
        frames.append(Image.fromarray(pixels))
    return frames


def encode(
    path, frames, *, ticks=None, unit=Fraction(1, 10), codec="libx264", pixels="yuv420p", tone=0.0, sound="aac", **more
):
    """A video whose frames are shown at `ticks` of `unit` seconds, with `tone` seconds of 440 Hz."""
    options = {key: str(value) for key, value in more.items() if key != "turned"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1 / unit, options=options)
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, pixels
        stream.time_base = stream.codec_context.time_base = unit
        if more.get("turned"):
            stream.set_display_rotation(more["turned"])
        heard = container.add_stream(sound, rate=RATE, layout="mono") if tone else None
        for number, image in zip(ticks or itertools.count(), frames, strict=False):
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = number, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if heard:
            wave = np.sin(2 * np.pi * 440 * np.arange(int(tone * RATE)) / RATE).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave[None] / 2, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(heard.encode(frame))
            container.mux(heard.encode())
    return path


def arrays(frames):
    return np.stack([np.asarray(frame) for frame in frames]).astype(int)


def shown(path):
    """Every frame of a video or folder as integers (frame, y, x, 3)."""
    return arrays(read_frames(path, reader="av").frames)


def brightness(path):
    return shown(path)[:, 16:, 16:].mean((1, 2, 3))


def streams(path):
    with av.open(str(path)) as container:
        return {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}


def audio_packets(path):
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


# Times


def test_the_count_is_what_the_duration_says_and_source_frames_stay_bit_for_bit(tmp_path):
    source = encode(tmp_path / "a.mp4", moving(12))
    made = retime_video(source, tmp_path / "frames", fps=25, interpolator="blend")
    frames, before = shown(tmp_path / "frames"), shown(source)
    assert (made.written, made.source_frames, made.fps, made.duration) == (30, 12, 25, 1.2)
    assert len(frames) == 30
    assert np.array_equal(frames[[0, 5, 10, 15, 20, 25]], before[::2])  # 0.0, 0.2, ... s
    assert abs(frames[2] - (0.2 * before[0] + 0.8 * before[1])).max() <= 1  # 0.08 s
    record = json.loads((tmp_path / "frames" / "inbetween.json").read_text())
    assert record["settings"]["fps"] == 25 and record["counts"]["written"] == 30
    assert record["interpolator"]["name"] == "blend"


def test_half_a_step_off_no_source_frame_is_shown(tmp_path):
    source = encode(tmp_path / "a.mp4", moving(8))
    retime_video(source, tmp_path / "frames", fps=20, phase=0.5, interpolator="blend")
    frames, before = shown(tmp_path / "frames"), shown(source)
    assert len(frames) == 16
    for number, share in ((0, 0.25), (1, 0.75)):
        assert abs(frames[number] - ((1 - share) * before[0] + share * before[1])).max() <= 1
    bent = retime_video(source, tmp_path / "bent", fps=20, phase=0.5, loop=True, interpolator="blend")
    assert bent.written == 16 and abs(shown(tmp_path / "bent")[0] - frames[0]).max() <= 1
    with pytest.raises(InterpolatorError, match="phase from 0 to below 1"):
        retime_video(source, tmp_path / "none", fps=20, phase=1, interpolator="blend")


def test_frames_of_variable_rate_are_shown_at_their_own_times(tmp_path):
    ticks = [0, 7, 20, 26, 90, 100, 113, 150, 160]  # hundredths of a second
    source = encode(tmp_path / "v.mp4", grey([20 + tick for tick in ticks]), ticks=ticks, unit=Fraction(1, 100), crf=4)
    timed = open_source(source).between()
    assert np.allclose(timed.times, np.array(ticks) / 100)
    made = retime_video(source, tmp_path / "even", fps=20, interpolator="blend", cuts=False)
    assert made.written == round(timed.duration * 20)
    times = np.minimum(np.arange(made.written) / 20, 1.6)
    assert np.abs(brightness(tmp_path / "even") - (20 + 100 * times)).max() < 2.5


def test_matroska_rounds_times_and_is_read_as_the_rate_it_means(tmp_path):
    source = encode(tmp_path / "m.mkv", moving(31), unit=Fraction(1, 30))
    timed = open_source(source).between()
    assert (timed.rate, timed.variable) == (30, False)
    assert np.array_equal(timed.times, np.arange(31) / 30) and timed.duration == pytest.approx(31 / 30)
    retime_video(source, tmp_path / "frames", fps=60, interpolator="blend")
    assert np.array_equal(shown(tmp_path / "frames")[::2], shown(source))


def test_slow_motion_keeps_the_rate_and_lasts_longer(tmp_path):
    source = encode(tmp_path / "a.mp4", moving(10))
    made = retime_video(source, tmp_path / "slow.mp4", scale=2.5, interpolator="blend")
    assert (made.written, made.fps, made.duration) == (25, 10, 2.5)
    assert streams(tmp_path / "slow.mp4") == {"video": 2.5}
    assert retime_video(source, tmp_path / "slow.mp4", scale=2, fps=30, interpolator="blend").written == 60


def test_a_part_in_seconds(tmp_path):
    source = encode(tmp_path / "a.mp4", moving(30))
    made = retime_video(source, tmp_path / "part", fps=20, start=0.95, stop=2, interpolator="blend")
    assert (made.source_frames, made.written) == (10, 20)
    assert np.array_equal(shown(tmp_path / "part")[::2], shown(source)[10:20])
    with pytest.raises(VideoError, match="no frame from 3.2 to 4 s; it lasts 3.000 s"):
        retime_video(source, tmp_path / "none", start=3.2, stop=4)
    with pytest.raises(VideoError, match="0 <= start < stop"):
        retime_video(source, tmp_path / "none", start=2, stop=1)


def test_rotation_in_the_file_is_applied(tmp_path):
    source = encode(tmp_path / "r.mp4", grey([200] * 4), turned=90, crf=4)
    retime_video(source, tmp_path / "out.mp4", fps=20, interpolator="blend")
    frames = shown(tmp_path / "out.mp4")
    assert frames.shape[1:3] == (48, 32)
    dark = frames[0].mean(-1) < 100
    assert dark[-6:, :6].all() and not dark[:6].any()


def test_odd_sides_and_wide_pixels(tmp_path):
    encode(tmp_path / "odd.mkv", moving(5, (47, 33)), codec="ffv1", pixels="bgr0")
    made = retime_video(tmp_path / "odd.mkv", tmp_path / "odd.mp4", fps=20, interpolator="blend")
    assert made.written == 10 and shown(tmp_path / "odd.mp4").shape == (10, 34, 48, 3)
    wide = encode(tmp_path / "wide.mp4", moving(5), **{"x264-params": "sar=4/3"})
    retime_video(wide, tmp_path / "out.mp4", fps=20, interpolator="blend")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("kind", ["a.gif", "a.webp", "folder"])
def test_animations_and_folders_go_in_and_out(tmp_path, kind):
    source = write_video(moving(6), tmp_path / kind, 10)
    own = {"folder_rate": 10} if kind == "folder" else {}
    for name in ("b.gif", "b.webp", "b", "b.mp4"):
        made = retime_video(source, tmp_path / name, fps=20, interpolator="blend", **own)
        assert (made.written, made.duration) == (12, 0.6)
        rate = {"folder_rate": 20} if name == "b" else {}
        assert open_source(tmp_path / name, **rate).between().duration == pytest.approx(0.6)
    assert np.array_equal(shown(tmp_path / "b")[::2], shown(source))


def test_an_unsaid_colour_matrix_is_that_of_the_size(tmp_path):
    for size, matrix in (((64, 80), "ITU601"), ((64, 592), "ITU709")):
        source = encode(tmp_path / "a.mp4", [Image.new("RGB", size, (200, 90, 40))] * 2, crf=4)
        with av.open(str(source)) as container:
            frame = next(container.decode(video=0))
            meant = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray().astype(int)
        ((pixels, _), _) = open_source(source).between().frames()
        assert np.abs(pixels - meant).max() <= 2  # swscale's own rounding is that coarse; the other matrix is 9 off
        assert np.array_equal(np.asarray(read_frames(source).frames[0]), pixels)


# What is met on the way


def test_cuts_and_repeats_are_kept_and_counted(tmp_path):
    first, second = moving(12), [Image.fromarray(255 - np.asarray(frame)) for frame in moving(12)]
    frames = [*first[:4], first[3], *first[4:], *second]
    source = encode(tmp_path / "c.mkv", frames, codec="ffv1", pixels="bgr0")
    made = retime_video(source, tmp_path / "out", fps=20, interpolator="blend")
    assert (made.cuts, made.duplicates, made.damaged) == (1, 1, 0)
    out = shown(tmp_path / "out")
    assert np.array_equal(out[25], out[26]) and np.array_equal(out[26], shown(source)[13])  # over the cut: no mixture
    made = retime_video(source, tmp_path / "out", fps=20, interpolator="blend", cuts=False, duplicates="replace")
    assert (made.cuts, made.duplicates) == (0, 1)
    assert not np.array_equal(shown(tmp_path / "out")[8], shown(tmp_path / "out")[6])


def damage(source, target, size=400):
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + size] = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8).tobytes()
    target.write_bytes(data)
    return target


def test_damage_in_mid_file_is_reported_and_the_rest_is_kept(tmp_path, caplog):
    whole = encode(tmp_path / "whole.mp4", moving(60, (96, 80)), g=15)
    bad = damage(whole, tmp_path / "bad.mp4")
    made = retime_video(bad, tmp_path / "out", fps=20, interpolator="blend")
    assert made.damaged > 0 and (made.source_frames, made.written) == (60, 120)
    assert f"could not be decoded, or only in part: {made.damaged};" in caplog.text
    reference, frames = shown(whole), shown(tmp_path / "out")[::2]
    same = [np.array_equal(*pair) for pair in zip(frames, reference, strict=True)]
    assert all(same[:25]) and all(same[-10:]) and not all(same)


def test_a_file_that_is_cut_off_gives_what_it_holds(tmp_path, caplog):
    with av.open(str(tmp_path / "whole.mp4"), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in moving(40):
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    made = retime_video(tmp_path / "cut.mp4", tmp_path / "out", fps=20, interpolator="blend")
    held = open_source(tmp_path / "cut.mp4").between()
    assert 5 < made.source_frames < 40 and f"holds {made.source_frames} of 40 frames" in caplog.text
    assert made.written == round(held.duration * 20) == len(shown(tmp_path / "out"))


def test_memory_does_not_grow_with_the_length(tmp_path, monkeypatch):
    alive, most = [], []

    def watched(image, *told):
        alive[:] = [*(there for there in alive if there() is not None), weakref.ref(image)]
        most.append(len(alive))
        return original(image, *told)

    original = retime_video_module.TimedFrame
    monkeypatch.setattr(retime_video_module, "TimedFrame", watched)
    for length in (60, 240):
        most.clear()
        source = encode(tmp_path / f"{length}.mp4", moving(length))
        retime_video(source, tmp_path / "out.mp4", fps=15, interpolator="blend")
        assert len(most) == length and max(most) <= 24
    assert len(list(tmp_path.glob(".*"))) == 0


# Sound


@pytest.fixture
def sounding(tmp_path):
    return encode(tmp_path / "s.mp4", moving(20), tone=2.0)


def test_sound_is_copied_packet_by_packet(tmp_path, sounding):
    retime_video(sounding, tmp_path / "out.mp4", fps=25, interpolator="blend")
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(sounding)
    assert streams(tmp_path / "out.mp4")["video"] == 2.0


def test_a_part_keeps_its_own_sound(tmp_path, sounding):
    retime_video(sounding, tmp_path / "out.mp4", fps=25, start=1, stop=1.5, interpolator="blend")
    packets = dict(map(reversed, audio_packets(sounding)))
    for pts, data in audio_packets(tmp_path / "out.mp4"):
        assert pts == packets[data] - RATE
    assert streams(tmp_path / "out.mp4")["audio"] == pytest.approx(0.5, abs=0.03)


def decoded_audio(path):
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def pitch(wave):
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return np.argmax(spectrum) * RATE / len(wave)


def test_sound_that_mp4_does_not_carry_well_becomes_aac(tmp_path, caplog):
    caplog.set_level("INFO", "gen_inbetween")
    source = encode(tmp_path / "p.mkv", moving(10), tone=1.0, sound="pcm_s16le")
    retime_video(source, tmp_path / "out.mp4", fps=20, interpolator="blend")
    assert "pcm_s16le sound is not copied" in caplog.text
    wave = decoded_audio(tmp_path / "out.mp4")
    assert len(wave) / RATE == pytest.approx(1, abs=0.03) and pitch(wave) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("scale", [5, 0.4])
def test_stretched_sound_lasts_as_long_as_the_pictures_at_its_own_pitch(tmp_path, sounding, scale):
    retime_video(sounding, tmp_path / "out.mp4", scale=scale, audio="stretch", interpolator="blend")
    wave = decoded_audio(tmp_path / "out.mp4")
    assert len(wave) / RATE == pytest.approx(2 * scale, abs=0.05)
    assert pitch(wave) == pytest.approx(440, abs=3)
    assert np.sqrt((wave**2).mean()) == pytest.approx(0.35, abs=0.05)  # no silence in it


def test_sound_of_another_pace_is_stretched_unless_told_otherwise(tmp_path, sounding, caplog):
    caplog.set_level("INFO", "gen_inbetween")
    retime_video(sounding, tmp_path / "out.mp4", scale=2, interpolator="blend")
    assert "the sound is stretched to the pictures" in caplog.text
    assert streams(tmp_path / "out.mp4") == {"video": 4.0, "audio": pytest.approx(4, abs=0.05)}
    assert pitch(decoded_audio(tmp_path / "out.mp4")) == pytest.approx(440, abs=3)
    retime_video(sounding, tmp_path / "out.mp4", scale=2, interpolator="blend", audio="keep")
    assert streams(tmp_path / "out.mp4") == {"video": 4.0, "audio": pytest.approx(2, abs=0.03)}
    retime_video(sounding, tmp_path / "out.mp4", scale=2, interpolator="blend", audio="drop")
    assert set(streams(tmp_path / "out.mp4")) == {"video"}
    with pytest.raises(VideoError, match="out.gif holds no sound"):
        retime_video(sounding, tmp_path / "out.gif", fps=20, audio="keep")
    with pytest.raises(VideoError, match="keep, stretch, drop"):
        retime_video(sounding, tmp_path / "out.mp4", fps=20, audio="loud")


# Curves and loops


def test_a_curve_bends_time_and_a_loop_closes_it(tmp_path):
    source = encode(tmp_path / "a.mp4", grey(range(20, 220, 20)), crf=4)
    there_and_back = [(0, 0), (0.5, 1), (1, 0)]
    made = retime_video(source, tmp_path / "back", fps=20, curve=there_and_back, interpolator="blend", cuts=False)
    bright = brightness(tmp_path / "back")
    assert made.written == 20 and bright.argmax() in (9, 10) and abs(bright[-1] - bright[0]) < 5
    retime_video(source, tmp_path / "round", fps=20, loop=True, interpolator="blend", cuts=False)
    assert abs(brightness(tmp_path / "round")[-1] - 110) < 4  # half way from 200 back to 20
    with pytest.raises(VideoError, match="cannot follow a curve"):
        retime_video(source, tmp_path / "b.mp4", curve=there_and_back, audio="stretch", interpolator="blend")


def test_what_needs_all_frames_at_once_says_when_they_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(retime_video_module, "IN_MEMORY", 100_000)
    with pytest.raises(VideoError, match="choose a shorter part"):
        retime_video(encode(tmp_path / "a.mp4", moving(20)), tmp_path / "b.mp4", loop=True, interpolator="blend")


# Going on


def test_outputs_that_cannot_be_are_found_before_the_work(tmp_path, monkeypatch):
    source = encode(tmp_path / "a.mp4", moving(4))
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "gen_inbetween.interpolation.retiming.retime_video.open_source", lambda *a, **k: pytest.fail("work was begun")
    )
    with pytest.raises(OutputError, match="is a file, expected a folder"):
        retime_video(source, tmp_path / "file" / "b.mp4", fps=20)
    with pytest.raises(VideoError, match=r"expected .mp4, .mov"):
        retime_video(source, tmp_path / "b.xyz", fps=20)
    with pytest.raises(OutputError, match="is an input"):
        retime_video(source, source, fps=20)


def test_a_folder_that_only_seems_open_is_found_before_the_work(tmp_path, monkeypatch):
    def closed(self, *args, **more):
        raise PermissionError(13, "Permission denied")

    source = encode(tmp_path / "a.mp4", moving(4))
    monkeypatch.setattr(Path, "mkdir", closed)  # root may write wherever os.access is asked, but not on every disk
    monkeypatch.setattr(retime_video_module, "noted_pairs", lambda *a, **k: pytest.fail("work was begun"))
    with pytest.raises(OutputError, match="cannot write .*b.mp4: Permission denied"):
        retime_video(source, tmp_path / "b.mp4", fps=20, interpolator="blend")


def test_what_cannot_be_retimed_is_said(tmp_path):
    for name, count, error in (("one.mp4", 1, InterpolatorError), ("two.mp4", 2, None)):
        source = encode(tmp_path / name, moving(count))
        if error is None:
            assert retime_video(source, tmp_path / "b.mp4", fps=20, interpolator="blend").written == 4
        else:
            with pytest.raises(error, match="two frames or more"):
                retime_video(source, tmp_path / "b.mp4", fps=20, interpolator="blend")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for path, message in ((tmp_path / "gone.mp4", "no such file"), (tmp_path / "empty.mp4", "0 bytes")):
        with pytest.raises(VideoError, match=message):
            retime_video(path, tmp_path / "b.mp4", fps=20)
    with pytest.raises(VideoError, match="between 0.1 and 1000"):
        retime_video(source, tmp_path / "b.mp4", fps=5000)
    assert not list(tmp_path.glob(".b*"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": float("nan")}, "scale is between"),
        ({"scale": True}, "scale is between"),
        ({"scale": "2"}, "scale is between"),
        ({"start": True}, "start is a time"),
        ({"stop": [1]}, "stop is a time"),
        ({"loop": 1}, "expected loop as True or False"),
        ({"cuts": b"1"}, "expected cuts as True or False"),
        ({"video": {"crf": 3}}, "expected VideoOptions"),
        ({"fps": 1e9}, "fps is between"),
        ({"phase": 1.0}, "phase from 0"),
        ({"duplicates": "drop"}, "duplicates is keep or replace"),
        ({"audio": "loud"}, "audio is keep"),
        ({"audio": "stretch", "curve": "ease-in"}, "cannot follow a curve"),
    ],
)
def test_what_needs_no_film_is_refused_before_one_is_opened(tmp_path, wrong, message):
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    with pytest.raises(ValueError, match=message):
        retime_video(tmp_path / "broken.mp4", tmp_path / "b.mp4", **wrong)


KILLED = """
import itertools, sys, time
from gen_inbetween.media import segments
from gen_inbetween.interpolation import baselines
from gen_inbetween.interpolation.retiming import retime_video as video_retiming
segments.FRAMES = 8
plain, calls = baselines.Still.__call__, itertools.count()
def stuck(self, *args, **more):
    if next(calls) == 22:
        time.sleep(600)
    return plain(self, *args, **more)
baselines.Still.__call__ = stuck
video_retiming.retime_video(sys.argv[1], sys.argv[2], fps=25, interpolator="blend")
"""


def frames_and_packets(path):
    with av.open(str(path)) as container:
        packets = [(packet.pts, packet.dts, bytes(packet)) for packet in container.demux(video=0) if packet.size]
    return packets, audio_packets(path)


def test_a_killed_run_goes_on_and_gives_the_same_video(tmp_path, sounding, monkeypatch, caplog):
    caplog.set_level("INFO", "gen_inbetween")
    out = tmp_path / "out.mp4"
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(sounding), str(out)])
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob(".out.mp4.*/0*.mp4"))) < 3 and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL and not out.exists()
    (folder,) = tmp_path.glob(".out.mp4.*")
    left = sorted(folder.glob("0*.mp4"))
    left[-1].write_bytes(left[-1].read_bytes()[:200])  # as a power cut leaves a file
    monkeypatch.setattr(segments, "FRAMES", 8)
    made = retime_video(sounding, out, fps=25, interpolator="blend")
    assert made.resumed == 8 * (len(left) - 1) == 16 and made.written == 50
    assert "going on after" in caplog.text and not folder.exists()
    again = retime_video(sounding, tmp_path / "whole.mp4", fps=25, interpolator="blend")
    assert again.resumed == 0
    assert frames_and_packets(out) == frames_and_packets(tmp_path / "whole.mp4")
    assert np.array_equal(shown(out), shown(tmp_path / "whole.mp4"))
    decoding = [packet[1] for packet in frames_and_packets(out)[0]]
    assert len(decoding) == 50 and decoding == sorted(set(decoding))


class Walking(Still):
    """A stand-in with a reference: each frame is the mean of what it looks at, so where a walk begins matters."""

    kind = "index+ref"

    def __init__(self):
        super().__init__(hard=False)

    def __call__(self, a, b, t, *, ref=None, iters=1):
        frame = super().__call__(a, b, t, ref=ref, iters=iters)
        return frame if ref is None else (frame + ref[0]) / 2


def interrupt_at(count):
    """Ctrl-C while the `count`-th frame is written: how far ahead workers have drawn by then is left to chance."""

    def listener(done, total):
        if done == count:
            raise KeyboardInterrupt

    return listener


@pytest.mark.parametrize("scale", [1, 2.7])
def test_going_on_inside_a_span_begins_where_the_span_does(tmp_path, monkeypatch, caplog, scale):
    caplog.set_level("INFO", "gen_inbetween")
    monkeypatch.setattr(segments, "FRAMES", 5)
    source, how = (
        encode(tmp_path / "a.mp4", moving(9)),
        {"fps": 37, "scale": scale, "duplicates": "replace", "phase": 0.5},
    )
    whole = retime_video(source, tmp_path / "whole.mp4", interpolator=Walking(), **how)
    with pytest.raises(KeyboardInterrupt), listening(interrupt_at(17)):
        retime_video(source, tmp_path / "out.mp4", interpolator=Walking(), **how)
    assert "frames are kept; the same again goes on there" in caplog.text
    made = retime_video(source, tmp_path / "out.mp4", interpolator=Walking(), **how)
    assert made.resumed == 15 and made.written == whole.written
    assert np.array_equal(shown(tmp_path / "out.mp4"), shown(tmp_path / "whole.mp4"))


def test_only_the_same_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "FRAMES", 4)
    source, out = encode(tmp_path / "a.mp4", moving(10)), tmp_path / "out.mp4"

    def stopped():
        with pytest.raises(KeyboardInterrupt), listening(interrupt_at(12)):
            retime_video(source, out, fps=30, interpolator=Walking())

    stopped()
    assert retime_video(source, out, fps=30, interpolator=Walking(), resume=False).resumed == 0
    stopped()
    assert retime_video(source, out, fps=31, interpolator=Walking()).resumed == 0
    assert not list(tmp_path.glob(".*")), "what is left of other settings goes once the output is there"
    stopped()
    assert retime_video(source, out, fps=30, interpolator=Walking(), audio="drop").resumed > 0
    stopped()
    encode(source, moving(11))  # another source under the same name
    assert retime_video(source, out, fps=30, interpolator=Walking()).resumed == 0


# The commands


def test_retime_and_slowmo_from_the_command_line(inbetween, sounding):
    status, out, err = inbetween("retime", sounding, "--fps", 25, "-o", "fast.mp4", "--interpolator", "blend")
    assert status == 0, err
    assert out.startswith("fast.mp4: 50 frames, 25 fps, 2.000 s") and "100%" in err
    status, out, err = inbetween(
        "slowmo", sounding, "--scale", 3, "-o", "slow.mp4", "--interpolator", "dis", "--audio", "stretch", "--stop", 0.5
    )
    assert status == 0, err
    assert out.startswith("slow.mp4: 15 frames, 10 fps, 1.500 s")
    assert set(streams(Path("slow.mp4"))) == {"video", "audio"}
    status, out, err = inbetween("retime", sounding, "-o", "same.mp4")
    assert (status, out) == (2, "") and "say what shall change" in err
    status, out, err = inbetween("slowmo", "gone.mp4", "-o", "slow.mp4")
    assert (status, out) == (2, "") and err == "error: no such file: gone.mp4\n"
