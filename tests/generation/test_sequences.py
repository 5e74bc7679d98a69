"""inbetween() through several keyframes on a tiny random model: frames, passes, manifests, replay, regions, drafts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.generation.batch import read_pairs, run_batch
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.replay import replay
from gen_inbetween.generation.timeline.keyframe import Keyframe, KeyframeError
from gen_inbetween.interpolation.editing.masks import MaskError
from gen_inbetween.runtime.hashing import images_sha256
from gen_inbetween.runtime.manifest import ManifestError
from gen_inbetween.runtime.messages import warn_once

STEPS = {"num_inference_steps": 1, "progress": False, "method": "vibid"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keyframes")
    rng = np.random.default_rng(0)
    names = [folder / f"{name}.png" for name in "abc"]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(name)
    return names


@pytest.fixture(autouse=True)
def said_anew():
    warn_once.cache_clear()


def pixels(frame):
    return np.asarray(frame, int)


def test_a_list_of_two_is_the_call_with_two(tiny_folder, pictures):
    a, b, _ = pictures
    clips = [inbetween(*frames, model=tiny_folder, **STEPS) for frames in ((a, b), ([a, b],))]
    assert clips[0].manifest["latents_sha256"] == clips[1].manifest["latents_sha256"]
    assert images_sha256(clips[0].frames) == images_sha256(clips[1].frames)
    assert "position" not in clips[1].manifest["frames"]["frame0"]


def test_through_three(tiny_folder, pictures, tmp_path):
    """Keyframes stand in their places pixel for pixel, a soft one is near its; the manifest makes it again."""
    a, b, c = pictures
    keys = [a, Keyframe(b, 5), Keyframe(c, "end")]
    clip = inbetween(keys, num_frames=14, model=tiny_folder, **STEPS)
    assert len(clip) == 14 and clip.manifest["settings"]["num_frames"] == 14
    for frame, path in ((0, a), (5, b), (13, c)):
        assert np.array_equal(pixels(clip[frame]), pixels(Image.open(path)))
    assert clip.manifest["unet_passes"] == METHODS["vibid"].unet_passes(SamplerOptions(1), 2, 1)
    assert [clip.manifest["frames"][f"frame{n}"]["position"] for n in range(3)] == [0, 5, 13]
    soft = inbetween([a, Keyframe(b, 5, strength=0.5), c], num_frames=14, model=tiny_folder, **STEPS)
    assert not np.array_equal(pixels(soft[5]), pixels(Image.open(b)))
    soft.save(tmp_path / "soft.gif")
    again = replay(tmp_path / "soft.gif", progress=False)
    assert again.manifest["replay"]["latents_equal"] and again.frames == soft.frames
    with pytest.raises(ManifestError, match="frame2 has changed"):
        replay(tmp_path / "soft.gif", keyframes=[a, b, a], progress=False)


def test_a_loop_goes_on_to_its_first_keyframe(tiny_folder, pictures):
    a, b, _ = pictures
    clip = inbetween([a, b], loop=True, model=tiny_folder, num_frames=10, **STEPS)
    assert len(clip) == 10 and clip.manifest["unet_passes"] == METHODS["vibid"].unet_passes(SamplerOptions(1), 2, 2)
    assert np.array_equal(pixels(clip[5]), pixels(Image.open(b)))


def test_interpolated_through_three(pictures, tmp_path):
    a, b, c = pictures
    options = {"method": "interpolate", "interpolator": "blend", "progress": False}
    clip = inbetween([a, Keyframe(b, 2), c], num_frames=7, **options)
    first, second, last = (pixels(Image.open(path)) for path in pictures)
    assert np.abs(pixels(clip[1]) - (first + second) / 2).max() <= 1
    assert np.array_equal(pixels(clip[2]), second)
    assert np.abs(pixels(clip[4]) - (second + last) / 2).max() <= 1
    assert clip.manifest["interpolations"] == 4
    ring = inbetween([a, b], num_frames=4, loop=True, **options)
    assert np.abs(pixels(ring[3]) - (first + second) / 2).max() <= 1 and len(ring) == 4
    clip.save(tmp_path / "clip.gif")
    assert replay(tmp_path / "clip.gif", progress=False).manifest["replay"]["frames_equal"]


def test_a_batch_line_lists_keyframes(tiny_folder, pictures, tmp_path):
    a, b, c = (str(path) for path in pictures)
    settings = {"model": str(tiny_folder), "method": "vibid", "num_inference_steps": 1, "num_frames": 8}
    lines = [
        {"keyframes": [a, f"{b}:3:0.8", {"image": c, "position": "end"}], "out": "three.gif", **settings},
        {"keyframes": [a, f"{b}:3", f"{c}:2"], "out": "back.gif", **settings},
        {"keyframes": [a], "out": "one.gif", **settings},
        {"keyframes": [a, b], "frame0": a, "out": "both.gif", **settings},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    entries = read_pairs(tmp_path / "list.jsonl", tmp_path / "out", {})
    assert [isinstance(entry, str) for entry in entries] == [False, False, True, True]
    summary = run_batch(entries)
    assert summary.generated == 1 and len(summary.failures) == 3
    assert "keyframe 3" in " ".join(summary.failures) and "at least two under keyframes" in " ".join(summary.failures)
    assert run_batch(read_pairs(tmp_path / "list.jsonl", tmp_path / "out", {})[:1]).skipped == 1


def test_still_pixels_keep_the_keyframes(tiny_folder, pictures, tmp_path):
    a, b, _ = pictures
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, :16] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    first, last = (pixels(Image.open(path)) for path in (a, b))
    moving = inbetween(a, b, model=tiny_folder, **STEPS)
    clip = inbetween(a, b, still=tmp_path / "mask.png", model=tiny_folder, **STEPS)
    for number, frame in enumerate(clip):
        blend = first + (last - first) * number / (len(clip) - 1)
        assert np.abs(pixels(frame) - blend)[8:24, :16].max() <= 1
    assert np.abs(pixels(moving[2]) - (first + (last - first) * 2 / 5))[8:24, :16].max() > 10
    assert np.array_equal(pixels(inbetween(a, b, still=mask > 0, model=tiny_folder, **STEPS)[2]), pixels(clip[2]))
    clip.save(tmp_path / "clip.gif")
    assert replay(tmp_path / "clip.gif", progress=False).manifest["replay"]["latents_equal"]
    flat = inbetween(a, b, still=mask, method="interpolate", interpolator="nearest", progress=False, num_frames=6)
    assert np.abs(pixels(flat[2]) - (first + (last - first) * 2 / 5))[8:24, :16].max() <= 1
    assert np.array_equal(pixels(flat[2])[:, 24:], first[:, 24:])
    with pytest.raises(MaskError, match="is 16x16, the frame 32x32"):
        inbetween(a, b, still=np.ones((16, 16)), model=tiny_folder, **STEPS)


def test_a_draft_is_followed_the_more_the_less_noise(tiny_folder, pictures, tmp_path):
    a, b, c = pictures
    rough = [Image.open(path) for path in (a, c, c, c, c, b)]
    options = {"model": tiny_folder, "method": "vibid", "progress": False, "num_inference_steps": 10}
    near, far = (inbetween(a, b, draft=rough, draft_strength=strength, **options) for strength in (0.1, 1.0))
    assert near.manifest["unet_passes"] == 4 and far.manifest["unet_passes"] == 40
    assert near.manifest["settings"]["draft_strength"] == 0.1 and near.manifest["frames"]["draft"]["path"] is None

    def middle(clip):
        return pixels(clip[2]) - pixels(inbetween(a, c, model=tiny_folder, **STEPS)[5])

    assert np.abs(middle(near)).mean() < np.abs(middle(far)).mean()
    drafted = inbetween(a, b, draft="interpolate", **(options | {"num_inference_steps": 2}))
    assert drafted.manifest["settings"]["draft_strength"] == 0.6


@pytest.mark.parametrize(
    ("frames", "settings", "message"),
    [
        ("a", {}, "expected frame1, or a list of keyframes, got one PosixPath alone"),
        (["a"], {}, "at least two keyframes, got one"),
        (
            ["a", ("b", 60), "c"],
            {"num_frames": 70},
            "keyframe 1 and keyframe 2 lie at the frames 0 and 60, a segment of 61",
        ),
        ([("a", 0), ("b", 60)], {}, "num_frames 61: .* more keyframes make a longer clip"),
        (["a", ("b", 1), "c"], {"num_frames": 9}, "leave a frame between them"),
        (["a", ("b", 4), ("c", 4)], {}, "repeats"),
        (["a", "b", "c"], {"method": "svd"}, "svd looks at the first keyframe only"),
        (["a", "b"], {"draft_strength": 0.5}, "expected a draft with it, got none"),
        (["a", "b"], {"draft": "nowhere.mp4"}, "no draft at nowhere.mp4"),
        (["a", "b"], {"draft": []}, "expected a draft as a path, 'interpolate' or a list of frames, got"),
        (["a", "b"], {"draft": 5}, "or a list of frames, got 5"),
        (["a", "b"], {"draft": ["a", "b", "c"], "num_frames": 6}, "the draft has 3 frames, the clip 6"),
        (["a", "b"], {"draft": ["a"] * 6, "start_sigma": 50.0}, "a draft or start_sigma, got both"),
        (["a", "b"], {"draft_strength": 1.5}, "draft_strength above 0 and at most 1"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(tiny_folder, pictures, frames, settings, message):
    named = dict(zip("abc", pictures, strict=True))

    def find(each):
        return Keyframe(named[each[0]], each[1]) if isinstance(each, tuple) else named[each]

    frames = named[frames] if isinstance(frames, str) else [find(each) for each in frames]
    if isinstance(settings.get("draft"), list):
        settings = settings | {"draft": [named[each] for each in settings["draft"]]}
    with pytest.raises(ValueError, match=message):
        inbetween(frames, **{"model": tiny_folder, **STEPS, **settings})


def test_identical_neighbours_and_mixed_sizes_are_said(tiny_folder, pictures, caplog):
    a, b, _ = pictures
    wide = Image.open(b).resize((64, 32))
    with pytest.warns(UserWarning, match="keyframes 1 and 2 are identical"):
        inbetween([a, a, wide], num_frames=7, model=tiny_folder, **STEPS)
    assert [line for line in caplog.messages if "keyframes of several sizes (32x32, 64x32)" in line]


def test_two_pictures_beside_a_list_are_refused(pictures):
    with pytest.raises(KeyframeError, match="got a list and a picture beside it"):
        inbetween(pictures[:2], pictures[2])
