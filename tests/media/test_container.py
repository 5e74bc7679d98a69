"""Video files: the same frames by either reader, strict about damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_cases import arrays, encode, moving
from PIL import Image

from gen_inbetween.media import container as containers
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames, stream_frames
from gen_inbetween.media.video_writer import write_video


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    return write_video(moving(), tmp_path / "moving.mp4", 12.5)


def test_a_reader_of_earlier_versions_is_named_and_left_out(mp4: Path, caplog: pytest.LogCaptureFixture) -> None:
    by_av = arrays(read_frames(mp4, reader="av").frames)
    with caplog.at_level("INFO"):
        assert np.array_equal(arrays(read_frames(mp4, reader="decord").frames), by_av)
    assert "decord converts colours less exactly" in caplog.text
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
