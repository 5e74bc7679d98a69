"""Folders of images and lists of image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_cases import arrays, moving
from PIL import Image

from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video


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


def test_a_list_of_files_is_read_in_its_own_order(tmp_path: Path) -> None:
    files = sorted(write_video(moving(3), tmp_path / "frames", 5).iterdir(), reverse=True)
    source = open_source(files, folder_rate=5)
    assert np.array_equal(arrays(list(source.frames())), arrays(moving(3))[::-1])
    assert (source.fps, source.times.tolist()) == (5, pytest.approx([0, 0.2, 0.4]))
    assert read_frames([str(file) for file in files]).fps is None
    with pytest.raises(VideoError, match="holds no images"):
        open_source([])


def test_a_folder_has_no_rate_and_a_video_has_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gen_inbetween")
    folder = write_video(moving(6), tmp_path / "folder", 10)
    assert open_source(folder).between().duration == 6 / 24
    assert "24 frames a second are assumed" in caplog.text
    with pytest.raises(VideoError, match="its own rate"):
        open_source(write_video(moving(3), tmp_path / "a.mp4", 10), folder_rate=5)
    with pytest.raises(VideoError, match="between 0.1 and 1000"):
        open_source(folder, folder_rate=float("nan"))
