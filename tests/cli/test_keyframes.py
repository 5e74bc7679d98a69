"""Commands about several keyframes and about clips, called as a user does."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.media.clip import Clip

TINY = ("--method", "vibid", "--steps", "1")


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")


def test_run_takes_keyframes_in_three_ways(inbetween, pictures, tiny_folder, tmp_path):
    tiny = ("--model", tiny_folder, *TINY)
    status, said, _ = inbetween("run", "a.png", "b.png", "c.png", "--frames", 9, "-o", "list/", *tiny)
    assert status == 0 and "Clip(9 frames" in said and "8 UNet passes" in said
    places = ("--keyframe", "a.png:0", "--keyframe", "b.png:4", "--keyframe", "c.png:-1")
    assert inbetween("run", *places, "--frames", 9, "-o", "places/", *tiny)[0] == 0
    (tmp_path / "run.yaml").write_text("keyframes: [a.png, {image: b.png, position: 4}, c.png:end]\nnum_frames: 9\n")
    assert inbetween("run", "--config", "run.yaml", "-o", "yaml/", *tiny)[0] == 0
    clips = [Clip.open(tmp_path / name) for name in ("list", "places", "yaml")]
    assert all(np.array_equal(a, b) for clip in clips[1:] for a, b in zip(clips[0], clip, strict=True))
    assert inbetween("replay", "places/")[:2] == (0, "the latents are equal\n")
    status, _, said = inbetween("run", "a.png", "b.png", "--keyframe", "c.png", "-o", "x/")
    assert status == 2 and "got both" in said
    status, _, said = inbetween("run", "-o", "x/")
    assert status == 2 and "expected keyframes: FRAME0 FRAME1" in said
    status, _, said = inbetween("run", "--keyframe", "a.png:0", "--keyframe", "b.png:0", "-o", "x/")
    assert status == 2 and "repeats" in said


def test_masks_can_be_looked_at_first(inbetween, pictures, tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = ("--still", "mask.png", "--show-masks", "seen.png")
    status, said, _ = inbetween("run", "a.png", "b.png", "-o", "clip.gif", *options)
    assert status == 0 and "nothing else was made" in said and not (tmp_path / "clip.gif").exists()
    seen, first = (np.asarray(Image.open(tmp_path / name), int) for name in ("seen.png", "a.png"))
    assert np.array_equal(seen[10:20, 10:20], first[10:20, 10:20])
    assert np.abs(seen[:4] - first[:4] / 4).max() <= 1
    status, _, said = inbetween("run", "a.png", "b.png", "-o", "clip.gif", "--show-masks", "seen.png")
    assert status == 2 and "there is none" in said


def test_bridge_loop_and_retake(inbetween, tiny_folder, tmp_path):
    rng = np.random.default_rng(1)
    clips = [
        Clip([Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(5)], 8) for _ in "ab"
    ]
    for name, clip in zip("ab", clips, strict=True):
        clip.save(tmp_path / name)
    tiny = ("--model", tiny_folder, *TINY, "--context", 2)
    status, said, _ = inbetween("bridge", "a", "b", "--frames", 2, "-o", "both/", *tiny)
    assert status == 0 and "Clip(12 frames" in said
    status, said, _ = inbetween("loop", "a", "--frames", 7, "-o", "ring/", *tiny)
    assert status == 0 and "last frame to first: " in said
    status, said, _ = inbetween("retake", "a", 2, 3, "-o", "again/", *tiny)
    assert status == 0 and "Clip(5 frames" in said
    for name, frames in (("both", range(5)), ("ring", range(5)), ("again", (0, 1, 3, 4))):
        made = Clip.open(tmp_path / name)
        assert all(np.array_equal(made[frame], clips[0][frame]) for frame in frames)
    assert inbetween("replay", "both/")[:2] == (0, "the frames are equal\n")
    (tmp_path / "b").rename(tmp_path / "moved b")
    status, _, said = inbetween("replay", "both/")
    assert status == 2 and "its clip_b is no longer at" in said and "--clip FILE for each" in said
    assert inbetween("replay", "both/", "--clip", "a", "--clip", "moved b")[:2] == (0, "the frames are equal\n")
    status, _, said = inbetween("replay", "both/", "--frame0", "a")
    assert status == 2 and "takes --clip and --mask" in said
    status, _, said = inbetween("retake", "a", 0, 3, "-o", "x/", *tiny)
    assert status == 2 and "expected 0 < start < end < 5" in said
    clips[0][0].save(tmp_path / "a.png")
    status, said, _ = inbetween("run", "a.png", "--loop", "--frames", 8, "-o", "moved/", "--model", tiny_folder, *TINY)
    assert status == 0 and "Clip(8 frames" in said


def test_what_a_clip_was_made_from_and_moved_is_passed_again(inbetween, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (32, 32), {"a": "red", "b": "green", "c": "blue"}[name[0]]).save(tmp_path / name)
    Image.new("L", (32, 32), 255).save(tmp_path / "mask.png")
    drawn = ("--method", "interpolate", "--interpolator", "nearest", "--frames", 5)
    assert inbetween("run", "a.png", "b.png", "c.png", "--still", "mask.png", "-o", "clip.gif", *drawn)[0] == 0
    for name in ("c.png", "mask.png"):
        (tmp_path / name).rename(tmp_path / f"moved {name}")
    status, _, said = inbetween("replay", "clip.gif")
    assert status == 2 and "frame2 is no longer at" in said and "--keyframe FILE" in said and "--frame2" not in said
    keyframes = [word for name in ("a.png", "b.png", "moved c.png") for word in ("--keyframe", name)]
    status, _, said = inbetween("replay", "clip.gif", *keyframes)
    assert status == 2 and "still is no longer at" in said and "--still FILE" in said
    assert inbetween("replay", "clip.gif", *keyframes, "--still", "moved mask.png")[0] == 0
    status, _, said = inbetween("replay", "clip.gif", *keyframes, "--draft", "a.png")
    assert status == 2 and "without a draft" in said


def test_plan_counts_windows(inbetween):
    status, said, _ = inbetween("plan", "--method", "vibid", "--frames", 49, "--keyframes", "0,16,end")
    assert status == 0 and "through 3 keyframes (3 windows of up to 33)" in said and "240 UNet passes" in said
    status, _, said = inbetween("plan", "--frames", 90, "--keyframes", "0,60,end")
    assert status == 2 and "a segment of 61: svd-xt does 3 to 50" in said


def test_the_plan_counts_the_search_for_a_motion_bucket(inbetween):
    told = ["plan", "--model", "pocket-2", "--set", "motion_bucket_id=auto"]
    for keyframes, passes in (("2", 36), ("3", 72)):
        status, said, _ = inbetween(*told, "--keyframes", keyframes)
        assert status == 0 and f"{passes} passes without guidance before them, to find the motion bucket" in said
