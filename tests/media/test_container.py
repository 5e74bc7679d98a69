"""Video files: the same frames by either reader, strict about damage."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from media_cases import arrays, encode, moving
from PIL import Image

from gen_inbetween.media import container as containers
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames, stream_frames
from gen_inbetween.media.video_writer import write_video

HAS_DECORD = importlib.util.find_spec("decord") is not None


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    return write_video(moving(), tmp_path / "moving.mp4", 12.5)


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
    original = containers.upright
    monkeypatch.setattr(containers, "upright", lambda frame: decoded.append(1) or original(frame))
    frames, _ = stream_frames(mp4, reader="av")
    for count in range(1, 4):
        next(frames)
        assert len(decoded) == count


@pytest.mark.parametrize("reader", ["av", "decord"] if HAS_DECORD else ["av"])
def test_a_video_cut_off(tmp_path: Path, reader: str) -> None:
    noise = [Image.fromarray(np.random.default_rng(s).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for s in range(20)]
    whole = write_video(noise, tmp_path / "whole.mp4", 10).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(VideoError, match="cut.mp4 is damaged or cut off"):
        read_frames(cut, reader=reader)
