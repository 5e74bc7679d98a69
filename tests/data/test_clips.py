"""Clips from folders and from seeds: which windows there are, what is refused and how, and the latent cache."""

from __future__ import annotations

import sys
from pathlib import Path

import generate_clips
import numpy as np
import prepare_clips
import pytest
import torch
from PIL import Image

from gen_inbetween.data.clips import ClipFolder, DataError, SyntheticClips
from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.media.image import to_signal
from gen_inbetween.media.scenes import scene_cuts
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.training.latents import EncodedClip, cache_latents, encode_clip, open_cache, stack

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


def test_fast_motion_is_no_cut() -> None:
    generator = np.random.default_rng(0)
    restless = generator.random((12, 24, 24, 3)).astype(np.float32)  # every frame differs from the last alike
    assert scene_cuts(restless) == []
    assert scene_cuts(np.concatenate([0.02 * restless[:6], 0.9 + 0.02 * restless[6:]])) == [6]


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


def encode(pipe, clip, seed: int = 0) -> EncodedClip:
    return encode_clip(pipe, clip, noise_aug_strength=0.02, generator=torch.Generator().manual_seed(seed))


def test_a_clip_is_encoded_as_the_pipeline_does_it(tiny_pipe) -> None:
    from gen_inbetween.diffusion.conditioning import encode_keyframes

    pipe = tiny_pipe()
    clip = SyntheticClips(0, 1, num_frames=4, size=16)[0]
    latents, keyframes = stack([encode(pipe, clip)] * 2, pipe.device, torch.float32)
    wanted = encode_keyframes(
        pipe, clip.frames[:1], clip.frames[-1:], num_frames=4, fps=clip.fps, motion_bucket_id=clip.motion_bucket_id,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    for name, value in keyframes.tensors().items():
        assert value.shape[2] == 2
        torch.testing.assert_close(value[:, :, :1], getattr(wanted, name), atol=2e-3, rtol=2e-3)  # float16 on disk
    with torch.no_grad():
        clean = pipe.vae.encode(clip.frames).latent_dist.mode() * pipe.vae.config.scaling_factor
    torch.testing.assert_close(latents[0], clean, atol=2e-3, rtol=2e-3)


def test_a_cache_gives_back_what_was_encoded(tiny_pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gen_inbetween.training.latents.CLIPS_PER_SHARD", 2)
    pipe, clips = tiny_pipe(), SyntheticClips(0, 3, num_frames=2, size=16)
    encoded = [encode(pipe, clips[index], index) for index in range(3)]
    identity, asked = {"clips": clips.identity(), "size": (16, 16)}, []

    def give(index: int) -> EncodedClip:
        asked.append(index)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return encoded[index]

    assert open_cache(tmp_path, identity) is None
    with pytest.raises(KeyboardInterrupt):
        cache_latents(tmp_path, 3, identity, give)
    assert open_cache(tmp_path, identity) is None
    cache_latents(tmp_path, 3, identity, give)
    assert asked == [0, 1, 2, 2]  # the finished shard was kept
    cache = open_cache(tmp_path, identity)
    assert cache is not None and len(cache) == 3
    for index, clip in enumerate(encoded):
        assert all(torch.equal(got, wanted) for got, wanted in zip(cache[index], clip, strict=True))
    with pytest.raises(DataError, match="another clips"):
        open_cache(tmp_path, identity | {"clips": {}})


def test_prepare_clips_reports_and_caches(folder: Path, tiny_folder: Path, tmp_path: Path, capsys) -> None:
    (folder / "broken.mp4").write_bytes(b"not a video")
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {tiny_folder}\noutput: {tmp_path}\nsteps: 1\nclip: {SHAPE}\n"
        f"data: {{folder: {folder}, cache: {tmp_path / 'latents'}}}\n"
    )
    with pytest.raises(SystemExit) as exit:
        prepare_clips.main(["--config", str(config), "--cache-latents"])
    assert exit.value.code == 1  # a file was not used
    said = capsys.readouterr().out
    assert "a/frames: 2 clips" in said and "broken.mp4: NOT USED" in said and "3 clips; 1 files give none" in said
    assert (tmp_path / "latents" / "latents.json").is_file()


def test_generate_clips_makes_a_folder_per_picture(tiny_folder: Path, tmp_path: Path, capsys) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "clips"
    pictures.mkdir()
    picture(9).save(pictures / "one.png")
    (pictures / "bad.jpg").write_bytes(b"no picture")
    command = [str(pictures), "--out", str(out), "--model", str(tiny_folder), "--frames", "4", "--steps", "1"]
    with pytest.raises(SystemExit) as exit:
        generate_clips.main([*command, "--width", "32", "--height", "24"])
    assert exit.value.code == 1 and "bad.jpg" in capsys.readouterr().err
    clips = ClipFolder(out, **SHAPE, stride=1)
    assert [file.name for file in clips.files] == ["one_0"] and len(clips) == 1
