"""Reading frames back as they were, with either reader; writing videos whole or not at all."""

from __future__ import annotations

import importlib.util
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
from PIL import Image

import gen_inbetween.media.container
import gen_inbetween.media.video_writer
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames, stream_frames
from gen_inbetween.media.video_writer import check_video_output, write_video
from gen_inbetween.runtime.files import OutputError, replaced

HAS_DECORD = importlib.util.find_spec("decord") is not None


def moving(num_frames: int = 12, width: int = 80, height: int = 64) -> list[Image.Image]:
    """A bright square crosses coloured ground, three pixels a frame: frame t can be told by where the square is."""
    y, x = np.mgrid[:height, :width]
    frames = []
    for time in range(num_frames):
        pixels = np.stack([40 + x * 2, 60 + y * 3, 120 - x], axis=-1).astype(np.uint8)
        pixels[8:20, 3 * time : 3 * time + 10] = (250, 240, 20)
        frames.append(Image.fromarray(pixels))
    return frames


def arrays(frames: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in frames]).astype(int)


def encode(
    path: Path, frames: list[Image.Image], codec: str, pixels: str = "yuv420p", rotation: int = 0, rate: int = 10
) -> None:
    """Write with PyAV what write_video does not write: other codecs, pixel formats and rotated streams."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, pixels
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())


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


@pytest.mark.parametrize(("start", "stop", "stride"), [(0, None, 1), (3, None, 1), (2, 9, 3), (0, 1, 1), (5, 100, 4)])
@pytest.mark.parametrize("name", ["v.mp4", "v.gif", "v.webp", "folder"])
def test_start_stop_stride_are_a_slice(tmp_path: Path, name: str, start: int, stop: int | None, stride: int) -> None:
    path = write_video(moving(), tmp_path / name, 10)
    whole = arrays(read_frames(path).frames)
    part = arrays(read_frames(path, start=start, stop=stop, stride=stride).frames)
    assert len(whole) == 12
    assert np.array_equal(part, whole[start:stop:stride])
    if name == "folder":
        assert np.array_equal(whole, arrays(moving()))


@pytest.mark.skipif(not HAS_DECORD, reason="decord is an extra")
@pytest.mark.parametrize(
    ("name", "codec"),
    [("v.mp4", "libx264"), ("v.mkv", "libx264"), ("v.mp4", "libx265"), ("v.webm", "libvpx"), ("v.webm", "libvpx-vp9")],
)
def test_both_readers_give_the_same_frames(tmp_path: Path, name: str, codec: str) -> None:
    encode(tmp_path / name, moving(30, 112, 64), codec)
    for window in ({}, {"start": 7, "stop": 29, "stride": 5}):
        by_decord, by_av = (read_frames(tmp_path / name, reader=reader, **window) for reader in ("decord", "av"))
        assert by_decord.fps == by_av.fps == 10
        assert len(by_av.frames) == (5 if window else 30)
        assert np.array_equal(arrays(by_decord.frames), arrays(by_av.frames))


@pytest.mark.skipif(not HAS_DECORD, reason="decord is an extra")
def test_auto_takes_decord_only_where_it_is_exact(mp4: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import decord

    by_decord = []
    original = decord.VideoReader
    monkeypatch.setattr(decord, "VideoReader", lambda path, **told: by_decord.append(path) or original(path, **told))
    read_frames(mp4)
    assert by_decord == [str(mp4)]
    encode(tmp_path / "ten.mp4", moving(), "libx264", "yuv420p10le")
    encode(tmp_path / "narrow.mp4", moving(12, 48, 64), "libx264")
    encode(tmp_path / "old.mpg", moving(), "mpeg1video", rate=25)
    for name in ("ten.mp4", "narrow.mp4", "old.mpg"):
        assert len(read_frames(tmp_path / name).frames) == 12
        assert by_decord == [str(mp4)]
        with pytest.raises(VideoError, match='reader="av"'):
            read_frames(tmp_path / name, reader="decord")


@pytest.mark.skipif(not HAS_DECORD, reason="decord is an extra")
@pytest.mark.parametrize("window", [{}, {"start": 1, "stop": 9, "stride": 3}])
def test_auto_goes_on_where_decord_gives_up(mp4: Path, monkeypatch: pytest.MonkeyPatch, window: dict) -> None:
    import decord

    whole = arrays(read_frames(mp4, reader="av", **window).frames)

    class TwoFrames(decord.VideoReader):
        given = 0

        def __getitem__(self, index: int) -> object:
            self.given += 1
            if self.given > 2:
                raise decord.DECORDError("threaded decoder gave up")
            return super().__getitem__(index)

    monkeypatch.setattr(decord, "VideoReader", TwoFrames)
    assert np.array_equal(arrays(read_frames(mp4, **window).frames), whole)
    with pytest.raises(VideoError, match="cannot read on"):
        read_frames(mp4, reader="decord", **window)


def test_without_decord(mp4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert len(read_frames(mp4).frames) == 12
    with pytest.raises(VideoError, match="pip install"):
        read_frames(mp4, reader="decord")


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_stored_rotation_is_applied(tmp_path: Path, rotation: int) -> None:
    encode(tmp_path / "turned.mp4", moving(), "libx264", rotation=rotation)
    upright = [frame.rotate(rotation, expand=True) for frame in moving()]  # both count counterclockwise
    read = read_frames(tmp_path / "turned.mp4").frames
    assert read[0].size == upright[0].size
    assert np.array_equal(arrays(read), arrays(read_frames(tmp_path / "turned.mp4", reader="av").frames))
    assert abs(arrays(read) - arrays(upright)).mean() < 6


def test_streaming_holds_one_frame_at_a_time(mp4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    original = gen_inbetween.media.container.upright
    monkeypatch.setattr(gen_inbetween.media.container, "upright", lambda frame: decoded.append(1) or original(frame))
    frames, _ = stream_frames(mp4, reader="av")
    for count in range(1, 4):
        next(frames)
        assert len(decoded) == count


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


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1, 100, 2):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"shot{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".hidden.png").write_text("not a frame either")
    frames, fps = read_frames(tmp_path)
    assert fps is None
    assert [frame.getpixel((0, 0))[0] for frame in frames] == [1, 2, 9, 10, 100]
    Image.new("RGB", (5, 4)).save(tmp_path / "shot101.png")
    with pytest.raises(VideoError, match="shot101.png is"):
        read_frames(tmp_path)


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


def test_unreadable_videos(tmp_path: Path, mp4: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video in here" * 100)
    (tmp_path / "text.webp").write_text("no video in here" * 100)
    (tmp_path / "empty.mp4").touch()
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "still.webp")
    (tmp_path / "nothing").mkdir()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    expected = {
        "missing.mp4": "no such file",
        "text.mp4": "is not a video",
        "text.webp": "is not an animation",
        "empty.mp4": "0 bytes",
        "still.png": "is a still image",
        "still.webp": "is a still image",
        "sound.wav": "no video stream",
        "nothing": "holds no images",
    }
    for name, message in expected.items():
        with pytest.raises(VideoError, match=message) as raised:
            read_frames(tmp_path / name)
        assert name in str(raised.value)
    with pytest.raises(VideoError, match="has no frame 12"):
        read_frames(mp4, start=12)


@pytest.mark.parametrize("reader", ["av", "decord"] if HAS_DECORD else ["av"])
def test_a_video_cut_off(tmp_path: Path, reader: str) -> None:
    noise = [Image.fromarray(np.random.default_rng(s).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for s in range(20)]
    whole = write_video(noise, tmp_path / "whole.mp4", 10).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(VideoError, match="cut.mp4 is damaged or cut off"):
        read_frames(cut, reader=reader)


@pytest.mark.parametrize("window", [{"start": -1}, {"stride": 0}, {"start": 3, "stop": 3}, {"reader": "ffmpeg"}])
def test_impossible_ranges(mp4: Path, window: dict[str, object]) -> None:
    with pytest.raises(VideoError, match="got"):
        read_frames(mp4, **window)


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


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


def test_a_parent_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not write"), replaced(tmp_path / "file" / "x.png"):
        pass


def test_outputs_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "holiday.jpg").touch()
    (tmp_path / "dir.mp4").mkdir()
    expected = {
        "v.avi": (VideoError, "expected .mp4, .gif, .webp"),
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
    with pytest.raises(VideoError, match="no H.264 encoder"):
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
