"""Bridges, loops and retakes on a tiny random model: what is there stays, the rest is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gen_inbetween.generation.joins import bridge, loop, replay_join, retake
from gen_inbetween.generation.replay import replay
from gen_inbetween.generation.timeline import colour, joining, pace
from gen_inbetween.generation.timeline.joining import JoinError, size_like
from gen_inbetween.generation.timeline.timeline import Motion
from gen_inbetween.interpolation.editing.masks import MaskError
from gen_inbetween.interpolation.registry import load_interpolator
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import FrameError
from gen_inbetween.media.source import VideoError
from gen_inbetween.models.configs import SVD_XT
from gen_inbetween.runtime.manifest import ManifestError

STEPS = {"num_inference_steps": 1, "progress": False, "method": "vibid"}


def make_clip(seed, count=6, size=(48, 32)):
    """A bright square that moves over a still picture."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 120, (size[1], size[0], 3), dtype=np.uint8)
    frames = []
    for number in range(count):
        frame = ground.copy()
        frame[8:16, 4 + 3 * number : 12 + 3 * number] = 230
        frames.append(Image.fromarray(frame))
    return Clip(frames, 8)


@pytest.fixture(scope="module")
def clips():
    return make_clip(0), make_clip(1)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_bridge_keeps_both_clips(tiny_folder, clips, tmp_path):
    a, b = clips
    clip = bridge(a, b, num_frames=3, context=2, model=tiny_folder, **STEPS)
    assert len(clip) == 15 and clip.fps == 8 and clip.size == (48, 32)
    assert same(clip.frames[:6], a.frames) and same(clip.frames[9:], b.frames)
    join = clip.manifest["join"]
    assert join["kind"] == "bridge" and join["gap"] == [6, 9] and len(join["colours"]["before"]["gain"]) == 3
    assert clip.manifest["settings"]["num_frames"] == 7  # two frames of context on either side
    a.save(tmp_path / "a")
    b.save(tmp_path / "b")
    filed = bridge(tmp_path / "a", tmp_path / "b", num_frames=3, context=2, model=tiny_folder, **STEPS)
    filed.save(tmp_path / "both")
    again = replay_join(tmp_path / "both", progress=False)
    assert again.manifest["replay"]["frames_equal"] and same(again.frames, filed.frames)
    with pytest.raises(ManifestError, match="a bridge, which `inbetween replay`"):
        replay(tmp_path / "both")
    with pytest.raises(ManifestError, match="clip_a has changed"):
        replay_join(tmp_path / "both", clips=[b, b], progress=False)


def test_context_is_what_the_gap_is_made_with(tiny_folder, clips):
    """Another frame of context is another gap; the frames before it are not looked at."""
    a, b = clips
    options = {"num_frames": 2, "model": tiny_folder, "match_colour": False, **STEPS}
    wanted = bridge(a, b, context=2, **options).frames[6:8]
    other = Clip([b.frames[0], *a.frames[1:]], 8)
    assert same(bridge(other, b, context=2, **options).frames[6:8], wanted)
    other = Clip([*a.frames[:4], b.frames[0], a.frames[5]], 8)
    assert not same(bridge(other, b, context=2, **options).frames[6:8], wanted)


def test_a_gap_is_interpolated_between_the_frames_beside_it(clips):
    a, b = clips
    options = {"method": "interpolate", "interpolator": "blend", "progress": False}
    clip = bridge(a, b, num_frames=1, context=3, **options)
    wanted = (np.asarray(a[-1], int) + np.asarray(b[0], int)) / 2
    assert np.abs(np.asarray(clip[6], int) - wanted).max() <= 1


def test_a_loop_of_a_clip_and_of_a_picture(tiny_folder, clips, tmp_path):
    a, _ = clips
    clip = loop(a, num_frames=9, context=2, model=tiny_folder, **STEPS)
    assert len(clip) == 9 and same(clip.frames[:6], a.frames)
    join = clip.manifest["join"]
    assert join["gap"] == [6, 9] and join["ratio"] > 0 and len(join["pace"]["steps"]) == 4
    spread = [np.std(join["pace"][name]) for name in ("steps_before", "steps")]
    assert spread[1] <= spread[0]
    usual = loop(a, context=2, model=tiny_folder, even_pace=False, **STEPS)
    assert len(usual) == 6 + 2 and "pace" not in usual.manifest["join"]  # a window of the model's 6 frames
    picture = tmp_path / "a.png"
    a[0].save(picture)
    moved = loop(picture, num_frames=8, context=2, model=tiny_folder, **STEPS)
    assert len(moved) == 8 and moved.size == (32, 32)
    assert moved.manifest["source"]["picture"]["path"] == str(picture.resolve())
    assert moved.manifest["unet_passes"] == 4 + 2  # the gap by vibid, the clip before it by svd
    moved.save(tmp_path / "moved")
    assert replay_join(tmp_path / "moved", progress=False).manifest["replay"]["frames_equal"]


def test_a_retake_touches_its_stretch_and_its_mask_only(tiny_folder, clips):
    a, _ = clips
    clip = retake(a, 2, 4, context=2, model=tiny_folder, **STEPS)
    assert same([*clip.frames[:2], *clip.frames[4:]], [*a.frames[:2], *a.frames[4:]])
    assert not same(clip.frames[2:4], a.frames[2:4]) and clip.manifest["join"]["gap"] == [2, 4]
    mask = np.zeros((32, 48), bool)
    mask[4:20, 8:40] = True
    masked = retake(a, 2, 4, context=2, mask=mask, model=tiny_folder, **STEPS)
    outside = ~np.array(Image.fromarray(mask).resize((48, 32)))
    outside[3:21, 7:41] = False  # a feather of one pixel
    for frame in (2, 3):
        pair = [np.asarray(each[frame]) for each in (masked, a)]
        assert np.array_equal(pair[0][outside], pair[1][outside]) and not np.array_equal(pair[0], pair[1])
    other = retake(a, 2, 4, context=2, seed=1, model=tiny_folder, **STEPS)
    assert not same(other.frames[2:4], clip.frames[2:4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda a, b, m: bridge(a[:3], b, context=4, model=m, **STEPS),
            "first clip has 3 frames, expected its context, 4: take",
        ),
        (lambda a, b, m: bridge(a, b, context=0, model=m, **STEPS), "context as a whole number of at least 1, got 0"),
        (lambda a, b, m: bridge(a, b, num_frames=0, model=m, **STEPS), "num_frames as a whole number of at least 1"),
        (lambda a, b, m: bridge(a, b, num_frames=2.5, model=m, **STEPS), "whole number of at least 1, got 2.5"),
        (lambda a, b, m: retake(a, 2.5, 4, model=m, **STEPS), "expected start as a whole number, got 2.5"),
        (lambda a, b, m: bridge(a, b, num_frames=40, model=m, **STEPS), "make a window of 42 frames: .* does 3 to 12"),
        (lambda a, b, m: bridge(a, make_clip(2, size=(32, 32)), model=m, **STEPS), "one size, got 48x32 and 32x32"),
        (lambda a, b, m: bridge(a, Clip(b.frames, 12), model=m, **STEPS), "one rate, got 8 and 12 fps"),
        (lambda a, b, m: loop(a, num_frames=6, context=2, model=m, **STEPS), "the clip alone has 6"),
        (lambda a, b, m: loop(a[0], method="interpolate", progress=False), "cannot move one picture"),
        (lambda a, b, m: retake(a, 0, 3, model=m, **STEPS), "expected 0 < start < end < 6"),
        (lambda a, b, m: retake(a, 4, 6, model=m, **STEPS), "got start 4 and end 6 of 6"),
        (lambda a, b, m: bridge(a, b, model=m, **{**STEPS, "method": "svd"}), "method svd: expected gi, trf, vibid"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(tiny_folder, clips, call, message):
    with pytest.raises(JoinError, match=message):
        call(*clips, tiny_folder)


@pytest.mark.parametrize(
    ("before", "after", "buckets"),
    [(2.0, 2.0, (100, 100)), (3.0, 1.0, (150, 50)), (1.0, 0.0, (160, 40)), (1.0, 100.0, (40, 160))],
)
def test_each_direction_is_told_the_pace_of_its_side(before, after, buckets):
    assert Motion(before, after).buckets(100) == pytest.approx(buckets)
    assert max(Motion(before, after).buckets(250)) <= 255


def test_a_gap_begins_and_ends_at_the_pace_beside_it(tiny_folder):
    def walk(begin, step):
        frames = []
        for number in range(5):
            pixels = np.random.default_rng(0).integers(0, 40, (32, 48, 3), np.uint8)
            pixels[8:24, round(begin + step * number) :][:, :14] = np.random.default_rng(1).integers(
                90, 255, (16, 14, 3)
            )
            frames.append(Image.fromarray(pixels))
        return Clip(frames, 8)

    fast, slow = walk(0, 3), walk(18, 1)
    carried = bridge(fast, slow, num_frames=3, model=tiny_folder, **STEPS)
    motion = carried.manifest["join"]["motion"]
    assert motion["before"] > 2 * motion["after"] > 0
    assert motion["motion_bucket_ids"][0] > 127 > motion["motion_bucket_ids"][1]
    even = bridge(fast, slow, num_frames=3, carry_pace=False, model=tiny_folder, **STEPS)
    assert "motion" not in even.manifest["join"] and not same(even.frames[5:8], carried.frames[5:8])
    assert same(bridge(fast, slow, num_frames=3, model=tiny_folder, **STEPS).frames, carried.frames)


def test_a_gap_whose_bucket_is_found_goes_on_at_the_paces_beside_it(tiny_folder):
    a, b = make_clip(0, count=8), make_clip(1, count=8)
    options = {"num_frames": 3, "context": 2, "model": tiny_folder, **STEPS}
    found = bridge(a, b, motion_bucket_id="auto", **options)
    bucket = found.manifest["settings"]["motion_bucket_id"]
    assert found.manifest["motion_bucket"]["bucket"] == bucket
    told = bridge(a, b, motion_bucket_id=bucket, **options)
    assert same(found.frames, told.frames)
    assert found.manifest["join"]["motion"] == told.manifest["join"]["motion"]
    first, last = found.manifest["join"]["motion"]["motion_bucket_ids"]
    assert first + last == pytest.approx(2 * bucket, abs=0.02)


def test_settings_that_a_join_has_no_use_for_are_refused(clips, tiny_folder):
    with pytest.raises(JoinError, match="still: of inbetween"):
        bridge(*clips, still="x.png", model=tiny_folder, **STEPS)
    with pytest.raises(MaskError, match="is 8x8, the frame 48x32"):
        retake(clips[0], 2, 4, context=1, mask=np.ones((8, 8)), model=tiny_folder, **STEPS)


def test_switches_are_true_or_false(clips):
    with pytest.raises(ValueError, match="carry_pace as True or False, got 'no'"):
        bridge(*clips, method="interpolate", carry_pace="no")
    with pytest.raises(ValueError, match="even_pace as True or False"):
        loop(clips[0], method="interpolate", even_pace=1)
    with pytest.raises(ValueError, match="match_colour as True or False"):
        retake(clips[0], 1, 2, method="interpolate", match_colour=None)


def test_colours_come_back_from_a_known_change():
    rng = np.random.default_rng(0)
    true = [Image.fromarray(rng.integers(30, 200, (16, 16, 3), dtype=np.uint8)) for _ in range(3)]
    made = [
        Image.fromarray((colour.encode(colour.decode(each) * 0.8 + 0.02) * 255).round().astype(np.uint8))
        for each in true
    ]
    restored = colour.match_colours(made, true)(made[1])
    assert np.abs(np.asarray(restored, int) - np.asarray(true[1], int)).max() <= 2
    grey = [Image.new("RGB", (4, 4), (90, 90, 90))]
    flat = colour.match_colours(grey, [Image.new("RGB", (4, 4), (120, 90, 60))])
    assert flat.gain.tolist() == [1, 1, 1] and flat(grey[0]).getpixel((0, 0)) == (120, 90, 60)


def test_pace_is_evened_along_the_way():
    rng = np.random.default_rng(0)
    ground = np.asarray(Image.fromarray(rng.integers(0, 255, (12, 30, 3), dtype=np.uint8)).resize((120, 48)))
    frames = [Image.fromarray(ground[:, shift : shift + 64]) for shift in (0, 1, 2, 9, 16)]
    evened, steps = pace.even_pace(frames, load_interpolator("dis"))
    assert len(evened) == 5 and evened[0] is frames[0] and evened[-1] is frames[-1]
    assert np.std(steps["steps"]) < 0.5 * np.std(steps["steps_before"])
    still, steps = pace.even_pace([frames[0]] * 3, load_interpolator("dis"))
    assert all(frame is frames[0] for frame in still)


def test_a_model_size_of_the_clips_aspect():
    assert size_like(SVD_XT, (1920, 1080)) == (1024, 576)
    assert size_like(SVD_XT, (640, 480)) == (896, 640) and size_like(SVD_XT, (480, 640)) == (640, 896)


def clear_clip(start, count=5):
    """A red disc that moves over nothing."""
    frames = []
    for number in range(count):
        frame = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(frame).ellipse([start + number, 20, start + 20 + number, 40], fill="red")
        frames.append(frame)
    return Clip(frames, 8)


@pytest.mark.parametrize("sampled", [True, False])
def test_transparent_clips_stay_transparent(tiny_folder, sampled):
    told = {"model": tiny_folder, **STEPS} if sampled else {"method": "interpolate", "progress": False}
    a, b = clear_clip(2), clear_clip(30)
    mask = np.zeros((64, 64), np.float32)
    mask[:, :40] = 1
    joined = {
        "bridge": bridge(a, b, num_frames=4, **told),
        "loop": loop(a, num_frames=9, **told),
        "retake": retake(a, 1, 4, **told),
        "retake inside a mask": retake(a, 1, 4, mask=mask, **told),
    }
    for name, clip in joined.items():
        assert {frame.mode for frame in clip.frames} == {"RGBA"}, name
        start, end = clip.manifest["join"]["gap"]
        for frame in clip.frames[start:end]:
            alpha = np.asarray(frame)[..., 3]
            assert alpha[0].max() == 0, name  # what no frame covers is not covered in between
            assert alpha.max() > 100, name
    assert same(joined["bridge"].frames[:5], a.frames) and same(joined["bridge"].frames[9:], b.frames)
    assert same(
        [frame.crop((45, 0, 64, 64)) for frame in joined["retake inside a mask"]],
        [frame.crop((45, 0, 64, 64)) for frame in a],
    )


def test_a_transparent_clip_and_an_opaque_one_become_a_transparent_one(tiny_folder):
    opaque = Clip([frame.convert("RGB") for frame in clear_clip(30)], 8)
    clip = bridge(clear_clip(2), opaque, num_frames=2, model=tiny_folder, **STEPS)
    assert {frame.mode for frame in clip.frames} == {"RGBA"}
    assert np.asarray(clip.frames[-1])[..., 3].min() == 255


def test_sound_that_stays_behind_is_named(tmp_path, caplog):
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        film, sound = container.add_stream("ffv1", rate=8), container.add_stream("pcm_s16le", rate=8000)
        film.width, film.height, film.pix_fmt = 48, 32, "yuv420p"
        for frame in make_clip(0):
            container.mux(film.encode(av.VideoFrame.from_image(frame)))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 6000), np.int16), format="s16", layout="stereo")
        block.sample_rate = 8000
        container.mux(sound.encode(block))
        container.mux([*film.encode(None), *sound.encode(None)])
    clip = loop(tmp_path / "a.mkv", num_frames=8, context=2, method="interpolate", interpolator="dis", progress=False)
    assert len(clip) == 8 and any("left out" in line for line in caplog.messages)


@pytest.mark.parametrize("device", ["cpu", None])
def test_pace_is_measured_on_the_device_of_the_settings(clips, monkeypatch, device):
    asked = []

    def opened(name, device=None):
        asked.append(device)
        return load_interpolator(name, device="cpu")

    monkeypatch.setattr(joining, "load_interpolator", opened)
    loop(clips[0], num_frames=8, method="interpolate", device=device, progress=False)
    assert asked == [device]


def test_films_of_varying_rate_keep_their_times():
    starts = [0, 0.1, 0.2, 0.5, 0.6, 0.9, 1.0]
    varying, even = Clip(make_clip(0).frames, 6, starts=starts, plays=3), Clip(make_clip(1).frames, 6)
    again = retake(varying, 2, 4, method="interpolate", progress=False)
    assert again.starts == varying.starts and again.plays == 3
    both = bridge(varying, even, num_frames=2, method="interpolate", progress=False)
    assert both.starts[:7] == varying.starts
    assert np.allclose(np.diff(both.starts[6:]), 1 / 6)
    closed = loop(varying, num_frames=8, method="interpolate", progress=False)
    assert closed.starts[:7] == varying.starts and np.allclose(np.diff(closed.starts[6:]), 1 / 6)
    assert bridge(even, even, num_frames=2, method="interpolate", progress=False).starts is None


def test_a_film_without_frames_is_not_called_a_picture(tmp_path):
    (tmp_path / "cut.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(99))
    with pytest.raises(VideoError, match="cut.mkv is not a video that can be read"):
        loop(tmp_path / "cut.mkv", method="interpolate", progress=False)
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    with pytest.raises(FrameError, match="cut.png"):
        loop(tmp_path / "cut.png", method="interpolate", progress=False)


def test_a_loop_of_a_picture_that_cannot_be_is_refused_before_the_picture_moves(monkeypatch):
    monkeypatch.setattr("gen_inbetween.generation.joins.make_candidates", lambda *_: pytest.fail("it was at work"))
    cases = [
        ({"num_frames": 1}, "at least one frame more"), ({"num_frames": "7"}, "whole number"),
        ({"num_frames": 400}, "make a window of 374"), ({"context": 99}, "expected its context, 99"),
    ]  # fmt: skip
    for values, words in cases:
        with pytest.raises(JoinError, match=words):
            loop(make_clip(0)[0], model="pocket-2", num_inference_steps=1, progress=False, **values)


def test_an_interpolated_gap_has_the_size_of_the_clips(clips):
    with pytest.raises(JoinError, match="leave width and height away"):
        bridge(*clips, num_frames=3, method="interpolate", width=64, progress=False)
