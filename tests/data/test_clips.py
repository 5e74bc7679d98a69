"""Clips from folders and from seeds: which windows there are, what is refused and how."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.data.clips import ClipFolder, DataError, SyntheticClips
from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.media.image import to_signal
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video_writer import write_video

SHAPE = {"num_frames": 4, "width": 16, "height": 16}


def picture(level: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    """A grey ramp whose mean tells which frame it is."""
    ramp = np.linspace(0, 40, size[0], dtype=np.uint8)[None, :, None].repeat(size[1], 0).repeat(3, 2)
    return Image.fromarray(ramp + np.uint8(level))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    write_video([picture(level) for level in range(20)], clips / "a" / "frames", 7)
    write_video([picture(10 * level) for level in range(9)], clips / "b.gif", 7)
    return clips


def test_windows_follow_stride_and_hop(folder: Path) -> None:
    clips = ClipFolder(folder, **SHAPE, stride=2)
    assert [(file.name, start) for file, start in clips.windows] == [
        ("frames", 0), ("frames", 7), ("b.gif", 0)
    ]  # a window of 4 frames at stride 2 spans 7  # fmt: skip
    assert [start for _, start in ClipFolder(folder, **SHAPE, stride=2, hop=5).windows] == [0, 5, 10, 0]
    clip = clips[1]
    assert clip.frames.shape == (4, 3, 16, 16) and -1 <= clip.frames.min() and clip.frames.max() <= 1
    levels = ((clip.frames.mean((1, 2, 3)) + 1) * 127.5).diff()
    torch.testing.assert_close(levels, torch.full((3,), 2.0), atol=0.1, rtol=0)
    assert clip.name == "a/frames from frame 7" and (clip.fps, clip.motion_bucket_id) == (7, 127)


def test_a_window_never_reaches_over_a_cut(tmp_path: Path) -> None:
    frames = [picture(level) for level in range(6)] + [picture(160 + level) for level in range(6)]
    write_video(frames, tmp_path / "clips" / "two_scenes", 7)
    options = {**SHAPE, "stride": 1, "hop": 1}
    assert [start for _, start in ClipFolder(tmp_path / "clips", **options).windows] == [0, 1, 2, 6, 7, 8]
    assert len(ClipFolder(tmp_path / "clips", **options, skip_scene_cuts=False)) == 9


def test_what_cannot_be_used_is_named_and_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "broken.mp4").write_bytes(b"not a video")
    write_video([picture(0)] * 3, folder / "short", 7)
    write_video([picture(0, (8, 8))] * 9, folder / "small", 7)
    mixed = folder / "mixed"
    write_video([picture(level) for level in range(9)], mixed, 7)
    picture(0, (30, 24)).save(mixed / "frame_00004.png")
    clips = ClipFolder(folder, **SHAPE, stride=2)
    assert len(clips) == 3
    assert set(clips.faults) == {"broken.mp4", "short", "small", "mixed"}
    assert "spans 7" in clips.faults["short"] and "8x8" in clips.faults["small"] and "one size" in clips.faults["mixed"]
    assert all(name in caplog.text for name in clips.faults)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "holds no clips"),
        (lambda folder: write_video([picture(0)] * 3, folder / "short", 7), "none of 1 videos gives 4 frames.*spans 7"),
    ],
)
def test_a_folder_without_clips_is_refused(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "clips")
    with pytest.raises(DataError, match=message):
        ClipFolder(tmp_path / "clips", **SHAPE, stride=2)


def test_a_video_that_changed_is_not_replaced_by_another(folder: Path) -> None:
    clips = ClipFolder(folder, **SHAPE, stride=2)
    for frame in sorted((folder / "a" / "frames").iterdir())[10:]:
        frame.unlink()
    with pytest.raises(VideoError, match="has changed"):
        clips[1]


def test_synthetic_clips_are_their_seeds() -> None:
    clips, later = (SyntheticClips(first, 3, num_frames=4, size=16) for first in (5, 6))
    assert torch.equal(clips[1].frames, later[0].frames) and not torch.equal(clips[0].frames, clips[1].frames)
    assert clips[0].frames.shape == (4, 3, 16, 16) and clips[0].frames.abs().max() <= 1
    assert clips.identity() != later.identity()
    with pytest.raises(IndexError):
        clips[3]


def test_photographs_are_half_of_the_backgrounds_and_another_set_of_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    plain, photos = (SyntheticClips(0, 8, num_frames=2, size=16, on_photographs=on) for on in (False, True))
    differing = sum(not torch.equal(plain[index].frames, photos[index].frames) for index in range(8))
    assert 0 < differing and plain.identity() != photos.identity()
    wanted = make_clip(3, num_frames=2, size=16, textures=photographs()).frames
    assert torch.equal(photos[3].frames, to_signal(torch.from_numpy(wanted)))
    photographs.cache_clear()
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match=r"gen_inbetween\[train\]"):
        SyntheticClips(0, 1, num_frames=2, size=16, on_photographs=True)
