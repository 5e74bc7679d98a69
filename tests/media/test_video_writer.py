"""Videos written whole or not at all, and read back as they were."""

from __future__ import annotations

import itertools
import os
import resource
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_cases import arrays, contents, moving
from PIL import Image

from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames
from gen_inbetween.media.video_writer import check_video_output, write_video
from gen_inbetween.runtime.files import OutputError


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    return write_video(moving(), tmp_path / "moving.mp4", 12.5)


def test_mp4_comes_back_in_order_and_colour(mp4: Path) -> None:
    frames, fps = read_frames(mp4)
    assert fps == 12.5
    assert len(frames) == 12
    assert abs(arrays(frames) - arrays(moving())).mean() < 3, "only chroma subsampling is lost"
    with av.open(str(mp4)) as container:
        stream = container.streams.video[0]
        codec, frame = stream.codec_context, next(container.decode(stream))
        assert (codec.name, codec.pix_fmt, stream.frames) == ("h264", "yuv420p", 12)
        assert (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range) == (1, 1, 1, 1)
        assert frame.colorspace == 1
        assert stream.duration * stream.time_base == Fraction(12 * 2, 25)


def test_bt709_is_used_and_not_only_written_on_it(tmp_path: Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (255, 255, 255), (0, 0, 0), (128, 128, 128)]
    path = write_video([Image.new("RGB", (32, 32), colour) for colour in colours], tmp_path / "c.mp4", 5)
    for frame, colour in zip(read_frames(path).frames, colours, strict=True):
        assert np.allclose(frame.getpixel((16, 16)), colour, atol=3)


def test_odd_sides_repeat_their_edge(tmp_path: Path) -> None:
    frames = moving(3, width=47, height=31)
    read = read_frames(write_video(frames, tmp_path / "odd.mp4", 5, crf=1)).frames
    assert read[0].size == (48, 32)
    assert abs(arrays(read)[:, :31, :47] - arrays(frames)).mean() < 3
    assert abs(arrays(read)[:, :31, 47] - arrays(frames)[:, :, 46]).mean() < 4
    assert abs(arrays(read)[:, 31, :47] - arrays(frames)[:, 30]).mean() < 4


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp"])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    first = write_video(moving(), tmp_path / name, 7).read_bytes()
    assert write_video(iter(moving()), tmp_path / f"again_{name}", 7).read_bytes() == first


def test_crf_trades_size_for_quality(tmp_path: Path) -> None:
    noise = [Image.fromarray(np.random.default_rng(s).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for s in range(3)]
    good, poor = (write_video(noise, tmp_path / f"{crf}.mp4", 5, crf=crf) for crf in (5, 40))
    assert good.stat().st_size > 2 * poor.stat().st_size
    good, poor = (write_video(noise, tmp_path / f"{q}.webp", 5, quality=q) for q in (95, 10))
    assert good.stat().st_size > 2 * poor.stat().st_size


def test_writing_takes_frames_as_they_come(tmp_path: Path) -> None:
    given, kept = [], []

    def frames() -> Iterator[Image.Image]:
        for level in range(12):
            frame = Image.new("RGB", (32, 32), (level, 0, 0))
            given.append(weakref.ref(frame))
            kept.append(sum(earlier() is not None for earlier in given))
            yield frame

    write_video(frames(), tmp_path / "v.mp4", 5)
    assert len(kept) == 12 and max(kept) <= 3  # this one, the one before, and the first, which says the size


@pytest.mark.parametrize("fps", [7, 24, 30, 50])
def test_gif_and_webp_times_add_up(tmp_path: Path, fps: float) -> None:
    for name, unit in (("a.gif", 10), ("a.webp", 1)):
        with Image.open(write_video(moving(), tmp_path / name, fps)) as image:
            assert image.info["loop"] == 0
            durations = []
            for index in range(image.n_frames):
                image.seek(index)
                image.load()
                durations.append(image.info["duration"])
        assert len(durations) == 12
        starts = list(itertools.accumulate(durations))
        assert all(abs(start - 1000 * (i + 1) / fps) <= unit / 2 for i, start in enumerate(starts))


def test_gif_faster_than_gif_can_be_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(moving(4), tmp_path / "fast.gif", 100)
    assert "50 fps instead of 100" in caplog.text
    assert read_frames(path).fps == 50


def test_gif_colours_stay_close_and_still_parts_still(tmp_path: Path) -> None:
    read = arrays(read_frames(write_video(moving(), tmp_path / "a.gif", 10)).frames)
    assert abs(read - arrays(moving())).mean() < 8
    assert np.ptp(read[:, :7], axis=0).max() == 0, "above the square nothing moves, so nothing may flicker"


def test_equal_frames_keep_their_time(tmp_path: Path) -> None:
    still = [Image.new("RGB", (16, 16), (9, 90, 200))] * 5
    for name in ("still.mp4", "still.gif"):
        frames, fps = read_frames(write_video(still, tmp_path / name, 10))
        assert len(frames) / fps == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["v.mp4", "v.gif", "v.webp", "frames"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_nothing_half_written(tmp_path: Path, name: str, error: type[BaseException] | OSError) -> None:
    def frames() -> Iterator[Image.Image]:
        yield from moving(5)
        raise error

    expected = KeyboardInterrupt if error is KeyboardInterrupt else OutputError
    with pytest.raises(expected):
        write_video(frames(), tmp_path / name, 5)
    assert contents(tmp_path) == {}
    write_video(moving(4), tmp_path / name, 5)
    before = contents(tmp_path)
    with pytest.raises(expected):
        write_video(frames(), tmp_path / name, 5)
    assert contents(tmp_path) == before, "what stood there before still does"


@pytest.mark.usefixtures("interrupted_writing")
@pytest.mark.parametrize("name", ["v.mp4", "v.gif", "v.webp", "frames"])
def test_the_writer_itself_is_interrupted(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_video(moving(), tmp_path / name, 5)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["v.mp4", "v.gif", "v.webp", "frames"])
def test_a_file_system_that_takes_no_more(tmp_path: Path, name: str) -> None:
    noise = [Image.fromarray(np.random.default_rng(s).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for s in range(4)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OutputError, match=f"could not write .*{name}"):
            write_video(noise, tmp_path / name, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == {}


def test_outputs_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "holiday.jpg").touch()
    (tmp_path / "dir.mp4").mkdir()
    expected = {
        "v.xyz": (VideoError, "expected .mp4, .mov, .mkv"),
        "file": (VideoError, "expected a folder"),
        "file/v.mp4": (OutputError, "is a file"),
        "album": (VideoError, "holiday.jpg"),
        "dir.mp4": (VideoError, "is a folder"),
    }
    before = contents(tmp_path)
    never = (pytest.fail("work was done") for _ in range(1))
    for name, (error, message) in expected.items():
        with pytest.raises(error, match=message):
            write_video(never, tmp_path / name, 5)
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(OutputError, match="no permission"):
        write_video(never, tmp_path / "new" / "v.mp4", 5)
    monkeypatch.undo()
    monkeypatch.setattr(av, "codecs_available", frozenset())
    with pytest.raises(VideoError, match="no encoder for h264"):
        check_video_output(tmp_path / "v.mp4")
    assert contents(tmp_path) == before


def test_frames_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frames"):
        write_video([], tmp_path / "v.mp4", 5)
    with pytest.raises(VideoError, match="frame 0 is .80, 64., frame 2 is .8, 8."):
        write_video([*moving(2), Image.new("RGB", (8, 8))], tmp_path / "v.mp4", 5)
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(VideoError, match="fps is between"):
            write_video(moving(2), tmp_path / "v.mp4", fps)
    assert contents(tmp_path) == {}


def test_a_folder_of_frames_replaces_an_earlier_one(tmp_path: Path) -> None:
    write_video(moving(9), tmp_path / "new" / "frames", 5)
    write_video(moving(3), tmp_path / "new" / "frames", 5)
    assert sorted(contents(tmp_path / "new" / "frames")) == [f"frame_0000{i}.png" for i in range(3)]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["frames"]
