"""Opening video sources of every kind; slices of their frames; what cannot be read."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_cases import arrays, moving
from PIL import Image

from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames
from gen_inbetween.media.video_writer import write_video


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    return write_video(moving(), tmp_path / "moving.mp4", 12.5)


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


@pytest.mark.parametrize("window", [{"start": -1}, {"stride": 0}, {"start": 3, "stop": 3}, {"reader": "ffmpeg"}])
def test_impossible_ranges(mp4: Path, window: dict[str, object]) -> None:
    with pytest.raises(VideoError, match="got"):
        read_frames(mp4, **window)
