"""The clip: a sequence that saves itself, records how it was made, and plays in a notebook."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.clip import Clip, check_output
from gen_inbetween.media.image import FrameError
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import read_frames
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.outputs import path_beside


def make_clip(num_frames: int = 6, **options: object) -> Clip:
    frames = [np.full((64, 80, 3), 20 + 30 * time, np.uint8) for time in range(num_frames)]
    return Clip(frames, fps=8, **options)


def test_a_clip_is_a_sequence_of_images() -> None:
    clip = make_clip()
    assert len(clip) == 6
    assert clip.size == (80, 64)
    assert clip.manifest is None
    assert [frame.getpixel((0, 0))[0] for frame in clip] == [20, 50, 80, 110, 140, 170]
    assert clip[-1].getpixel((5, 5)) == (170, 170, 170)
    assert all(isinstance(frame, Image.Image) and frame.mode == "RGB" for frame in clip)
    with pytest.raises(IndexError):
        clip[6]


def test_a_slice_is_a_clip_without_the_manifest_of_the_whole() -> None:
    clip = make_clip(manifest={"format": 1})
    part = clip[1:5:2]
    assert isinstance(part, Clip)
    assert (len(part), part.fps, part.manifest) == (2, 8, None)
    assert part[0].getpixel((0, 0)) == clip[1].getpixel((0, 0))
    assert [f.getpixel((0, 0)) for f in clip[::-1]] == [f.getpixel((0, 0)) for f in reversed(clip)]


def with_hash(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    """The manifest as it stands beside a file, whose hash it keeps; a folder has none."""
    return manifest if path.is_dir() else manifest | {"file_sha256": file_sha256(path)}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip.webp", "frames"])
def test_a_saved_clip_is_opened_with_its_rate_and_manifest(tmp_path: Path, name: str) -> None:
    record = {"format": manifests.FORMAT, "settings": {"fps": 8}, "versions": {}}
    path = make_clip(manifest=record).save(tmp_path / name)
    opened = Clip.open(path)
    assert (len(opened), opened.size, opened.fps) == (6, (80, 64), 8)
    assert opened.manifest == with_hash(record, path)
    shown = [frame.getpixel((40, 32))[0] for frame in opened]
    assert np.allclose(shown, [20, 50, 80, 110, 140, 170], atol=3)


def test_a_clip_of_unknown_rate_or_another_tools_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_clip().save(tmp_path / "frames")
    with caplog.at_level("INFO"):
        assert (Clip.open(folder).fps, Clip.open(folder, fps=5).fps) == (24, 5)
    assert caplog.text.count("24 frames a second are assumed") == 1
    (folder / "manifest.json").write_text('{"made": "elsewhere"}')
    assert Clip.open(folder).manifest is None
    assert "opened without a manifest" in caplog.text
    files = sorted(folder.glob("*.png"), reverse=True)
    assert Clip.open(files)[0].getpixel((0, 0)) == (170, 170, 170)
    with pytest.raises(VideoError, match="no such file"):
        Clip.open(tmp_path / "missing.mp4")


def test_repr_says_what_it_is() -> None:
    assert repr(make_clip()) == "Clip(6 frames, 80x64, 8 fps, 0.75 s)"


def test_clips_that_cannot_be() -> None:
    with pytest.raises(VideoError, match="got 0"):
        Clip([], fps=8)
    with pytest.raises(VideoError, match="one size"):
        Clip([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 9))], fps=8)
    with pytest.raises(VideoError, match="has frames"):
        make_clip()[3:3]
    with pytest.raises(FrameError, match="NaN"):
        Clip([np.full((4, 4), np.nan)], fps=8)


@pytest.mark.parametrize("name", ["c.mp4", "c.gif", "c.webp", "frames", "new/folders/c.mp4"])
def test_saved_and_read_again(tmp_path: Path, name: str) -> None:
    clip = make_clip()
    path = clip.save(tmp_path / name)
    frames, fps = read_frames(path)
    assert path == tmp_path / name
    assert fps == (None if name == "frames" else pytest.approx(8, rel=0.01))
    for read, frame in zip(frames, clip, strict=True):
        assert abs(np.asarray(read).astype(int) - np.asarray(frame)).max() <= 3
    assert not list(tmp_path.rglob("*.json")), "no manifest was given"


def test_png_is_a_contact_sheet(tmp_path: Path) -> None:
    with Image.open(make_clip().save(tmp_path / "sheet.png")) as sheet:
        assert sheet.width > 6 * 80
        assert sheet.getpixel((3, 3)) == (20, 20, 20)
        assert sheet.getpixel((sheet.width - 3, 3)) == (170, 170, 170)


@pytest.mark.parametrize("name", ["c.mp4", "c.gif", "c.webp", "c.png", "frames"])
def test_the_manifest_stands_beside(tmp_path: Path, name: str) -> None:
    manifest = {"format": 1, "seed": 7, "settings": {"method": "trf"}}
    path = make_clip(manifest=manifest).save(str(tmp_path / name))
    beside = path_beside(path)
    assert json.loads(beside.read_text()) == with_hash(manifest, path)
    assert beside == tmp_path / ("frames/inbetween.json" if name == "frames" else f"{name}.inbetween.json")
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")], "no temporary file is left"
    make_clip(3, manifest=manifest).save(path)  # and over itself again
    if name == "frames":
        assert len(read_frames(path).frames) == 3


@pytest.mark.usefixtures("interrupted_writing")
def test_an_interrupted_save_leaves_nothing(tmp_path: Path) -> None:
    for name in ("c.mp4", "c.png", "frames"):
        with pytest.raises(KeyboardInterrupt):
            make_clip(manifest={"format": 1}).save(tmp_path / name)
        assert list(tmp_path.iterdir()) == []


def test_outputs_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir.png").mkdir()
    for name, error in {
        "c.xyz": VideoError,
        "dir.png": VideoError,
        "file/c.png": OutputError,
        "file": VideoError,
    }.items():
        with pytest.raises(error):
            check_output(tmp_path / name)
        with pytest.raises(error):
            make_clip().save(tmp_path / name)
    for name in ("c.mp4", "c.gif", "c.webp", "c.png", "frames", "new/c.mp4"):
        check_output(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dir.png", "file"], "asking writes nothing"


def test_inline_video_is_the_clip(tmp_path: Path) -> None:
    html = make_clip()._repr_html_()
    assert html.startswith("<video") and "loop" in html and "autoplay" in html and "muted" in html
    data = re.search(r"data:video/mp4;base64,([^\"]+)", html)
    (tmp_path / "inline.mp4").write_bytes(base64.b64decode(data[1], validate=True))
    assert len(read_frames(tmp_path / "inline.mp4").frames) == 6


def test_inline_webp_without_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", frozenset())
    html = make_clip()._repr_html_()
    data = re.search(r"<img .*data:image/webp;base64,([^\"]+)", html)
    (tmp_path / "inline.webp").write_bytes(base64.b64decode(data[1], validate=True))
    assert len(read_frames(tmp_path / "inline.webp").frames) == 6


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_is_above_zero(fps: float) -> None:
    with pytest.raises(ValueError, match="fps as a number above 0"):
        Clip([Image.new("RGB", (16, 16))], fps)


def test_frames_nearer_than_the_clock_of_a_film_are_all_written(tmp_path):
    starts = [0, 1e-6, 2e-6, 0.5, 1]
    frames = [Image.new("RGB", (32, 32), (shade, shade, shade)) for shade in (0, 80, 160, 240)]
    Clip(frames, 4, starts=starts).save(tmp_path / "near.mp4")
    opened = Clip.open(tmp_path / "near.mp4")
    assert len(opened) == 4 and opened.duration == pytest.approx(1, abs=1e-3)
