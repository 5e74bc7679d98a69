"""Video files: the same frames by either reader, strict about damage."""

from __future__ import annotations

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
@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "libx264"), ("v.mkv", "libx265"), ("v.webm", "libvpx-vp9")])
def test_decord_gives_the_same_frames_but_for_rounding(tmp_path: Path, name: str, codec: str) -> None:
    encode(tmp_path / name, moving(30, 112, 64), codec)
    for window in ({}, {"start": 7, "stop": 29, "stride": 5}):
        by_decord, by_av = (read_frames(tmp_path / name, reader=reader, **window) for reader in ("decord", "av"))
        assert by_decord.fps == by_av.fps == 10
        assert len(by_decord.frames) == len(by_av.frames) == (5 if window else 30)
        apart = abs(arrays(by_decord.frames).astype(float)[:, None] - arrays(by_av.frames)).mean((2, 3, 4))
        assert apart.diagonal().max() < 4  # edges of chroma, besides a level or two everywhere
        assert (apart.argmin(1) == np.arange(len(apart))).all()  # and no other frame is nearer


@pytest.mark.skipif(not HAS_DECORD, reason="decord is an extra")
def test_decord_is_refused_where_its_frames_would_be_wrong(tmp_path: Path) -> None:
    encode(tmp_path / "ten.mp4", moving(), "libx264", "yuv420p10le")
    encode(tmp_path / "narrow.mp4", moving(12, 48, 64), "libx264")
    encode(tmp_path / "old.mpg", moving(), "mpeg1video", rate=25)
    for name in ("ten.mp4", "narrow.mp4", "old.mpg"):
        assert len(read_frames(tmp_path / name).frames) == 12
        with pytest.raises(VideoError, match='reader="av"'):
            read_frames(tmp_path / name, reader="decord")


def test_decord_reads_only_where_it_is_asked_for(mp4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert len(read_frames(mp4).frames) == 12
    with pytest.raises(VideoError, match="pip install"):
        read_frames(mp4, reader="decord")
    with pytest.raises(VideoError, match="reader is one of"):
        read_frames(mp4, reader="opencv")  # type: ignore[arg-type]


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
    original = containers.pixels_of
    monkeypatch.setattr(containers, "pixels_of", lambda frame: decoded.append(1) or original(frame))
    frames, _ = stream_frames(mp4, reader="av")
    for count in range(1, 4):
        next(frames)
        assert len(decoded) == count


def test_a_video_cut_off(tmp_path: Path) -> None:
    noise = [Image.fromarray(np.random.default_rng(s).integers(0, 256, (64, 64, 3), dtype=np.uint8)) for s in range(20)]
    whole = write_video(noise, tmp_path / "whole.mp4", 10).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(VideoError, match="cut.mp4 is damaged or cut off"):
        read_frames(cut)
