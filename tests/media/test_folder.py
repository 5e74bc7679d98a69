"""Folders of images and lists of image files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from media_cases import arrays, moving
from PIL import Image

from gen_inbetween.media.image import FrameError, load_image
from gen_inbetween.media.reading.sequences import image_files
from gen_inbetween.media.source import Source, VideoError
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
    with pytest.raises(VideoError, match="got an empty list"):
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


def paint(folder: Path, names: dict[str, int]) -> Path:
    """Files of one grey each, by their names."""
    folder.mkdir(exist_ok=True)
    for name, grey in names.items():
        Image.new("RGB", (16, 16), (grey, grey, grey)).save(folder / name)
    return folder


def greys(source: Source) -> list[int]:
    return [np.asarray(frame)[0, 0, 0].item() for frame in source.frames()]


def test_negative_numbers_come_first(tmp_path: Path) -> None:
    numbers = {f"f_{number:04d}.png": number + 10 for number in (0, 1, 2, 3, -1, -2)}
    assert greys(open_source(paint(tmp_path / "a", numbers))) == [8, 9, 10, 11, 12, 13]
    dashes = {f"shot-{number:03d}.png": number for number in (3, 1, 2)}
    assert greys(open_source(paint(tmp_path / "b", dashes))) == [1, 2, 3]


def test_gaps_of_a_sequence_keep_their_time_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gen_inbetween")
    gap = paint(tmp_path / "gap", {f"{number:04d}.png": number for number in (0, 1, 2, 5, 6, 7)})
    source = open_source(gap, folder_rate=10)
    assert source.timeline.times.tolist() == pytest.approx([0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8])
    assert "2 frames are not there (after 0002.png); their time is filled" in caplog.text
    assert greys(source) == [0, 1, 2, 5, 6, 7] and "those around follow one another" in caplog.text
    caplog.clear()
    twos = paint(tmp_path / "twos", {f"f{number}.png": number for number in (10, 12, 14, 16)})
    picked = paint(tmp_path / "picked", {f"IMG_{number}.png": number for number in (3, 4, 90, 200)})
    for folder in (twos, picked):
        assert open_source(folder, folder_rate=10).timeline.times.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert caplog.text == ""


def test_two_sequences_in_a_folder_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinds = {"rgb": 0, "depth": 50}
    names = {f"{kind}_{number:04d}.png": shade + number for kind, shade in kinds.items() for number in range(3)}
    folder = paint(tmp_path / "two", names)
    assert greys(open_source(folder)) == [50, 51, 52, 0, 1, 2]
    assert "depth_%04d.png (3), rgb_%04d.png (3)" in caplog.text and f"{folder}/depth_%04d.png" in caplog.text
    caplog.clear()
    assert greys(open_source(folder / "rgb_%04d.png")) == [0, 1, 2]
    assert greys(open_source(folder / "rgb_####.png")) == [0, 1, 2]
    assert caplog.text == ""
    assert [file.name for file in image_files(folder / "depth_%d.png")][0] == "depth_0000.png"
    with pytest.raises(VideoError, match="holds no images named as mask_%04d.png"):
        open_source(folder / "mask_%04d.png")
    with pytest.raises(VideoError, match="no such folder"):
        open_source(tmp_path / "none" / "f_%04d.png")


@pytest.mark.parametrize("suffix", ["tga", "avif", "tif", "jp2", "pgm"])
def test_sequences_of_other_pictures_are_read(tmp_path: Path, suffix: str) -> None:
    folder = paint(tmp_path / "s", {f"f_{number}.{suffix}": 40 * number for number in range(4)})
    assert np.allclose(greys(open_source(folder)), [0, 40, 80, 120], atol=2)


def test_a_folder_without_images_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.psd").touch()
    with pytest.raises(VideoError, match=r"holds no images \(but .psd\)"):
        open_source(tmp_path)


def test_addresses_are_to_be_downloaded(tmp_path: Path) -> None:
    words = r"(https://example.com/film.mp4|rtsp://camera/1) is an address, .* download"
    for address in ("https://example.com/film.mp4", Path("https://example.com/film.mp4"), "rtsp://camera/1"):
        with pytest.raises(VideoError, match=words):
            open_source(address)
    with pytest.raises(FrameError, match="https://a.b/c.png is an address"):
        load_image(Path("https://a.b/c.png"))


def test_colons_are_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_video(moving(4), "12:30.mp4", 10)
    assert len(read_frames(path).frames) == 4 and open_source("12:30.mp4").between().duration == pytest.approx(0.4)


def test_a_film_comes_through_a_pipe(tmp_path: Path) -> None:
    film = write_video(moving(6), tmp_path / "a.mp4", 10)
    program = "from gen_inbetween.media.video import open_source\nsource = open_source('-')\n"
    program += "assert len(list(source.frames())) == 6 and source.between().duration == 0.6\n"
    program += "print(source.path.exists(), source.path)"
    with film.open("rb") as stream:
        run = subprocess.run([sys.executable, "-c", program], stdin=stream, capture_output=True, text=True, check=True)
    there, stored = run.stdout.split()
    assert there == "True" and not Path(stored).exists()
    empty = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert "standard input ended without a film" in empty.stderr


def test_what_systems_leave_in_folders_is_no_frame(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (16, 16), (80 * number, 0, 0)).save(tmp_path / f"f_{number}.PNG")
    for name in ("Thumbs.db", ".DS_Store", "._f_0.png", "notes.txt", "desktop.ini"):
        (tmp_path / name).write_bytes(b"no picture")
    assert len(read_frames(tmp_path).frames) == 3
