"""Transparent keyframes: interpolated with their alpha, or sampled without and given it again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.settings import Settings
from gen_inbetween.generation.timeline.keyframe import Keyframe
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.generation.transparency import carry_alpha, fit_back
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import load_image


@pytest.fixture
def inbetween_command():
    def call(*line):
        result = CliRunner().invoke(app, [str(part) for part in line])
        assert result.exit_code == 0, result.output

    return call


def clear(shift: int) -> Image.Image:
    y, x = np.mgrid[:48, :64]
    inside = (x - 24 - shift) ** 2 + (y - 24) ** 2 < 100
    return Image.fromarray(np.dstack([np.where(inside, 220, 0), 0 * x, 0 * x, 255 * inside]).astype(np.uint8))


def test_interpolated_keyframes_keep_their_transparency(tmp_path):
    clip = inbetween(clear(0), clear(8), method="interpolate", num_frames=3, interpolator="dis-splat", progress=False)
    assert clip[0].tobytes() == clear(0).tobytes() and clip[2].tobytes() == clear(8).tobytes()
    middle = np.asarray(clip[1])
    assert middle[24, 28].tolist() == pytest.approx([220, 0, 0, 255], abs=12) and middle[2, 2, 3] == 0
    assert clip.save(tmp_path / "clip.webp").exists()


def test_a_sampled_clip_gets_it_again_and_says_so(tiny_folder, caplog):
    with caplog.at_level("INFO"):
        clip = inbetween(clear(0), clear(8), model=tiny_folder, method="trf", num_inference_steps=1, progress=False)
    assert "alpha follows its motion" in caplog.text
    assert {frame.mode for frame in clip} == {"RGBA"}
    ends = [np.asarray(frame)[..., 3] for frame in (clip[0], clip[-1])]
    assert all(end[0, 0] == 0 and end.max() == 255 for end in ends)
    opaque = inbetween(
        clear(0).convert("RGB"), clear(8).convert("RGB"), model=tiny_folder, method="trf", num_inference_steps=1,
        progress=False,
    )  # fmt: skip
    assert {frame.mode for frame in opaque} == {"RGB"}


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webp"])
def test_a_background_that_is_asked_for_is_seen(tmp_path, name):
    clip = inbetween(
        clear(0), clear(8), method="interpolate", num_frames=3, interpolator="nearest", background=(0, 0, 255),
        progress=False,
    )  # fmt: skip
    assert {frame.mode for frame in clip} == {"RGB"}
    shown = np.asarray(Clip.open(clip.save(tmp_path / name))[1].convert("RGB")).astype(int)
    assert np.abs(shown[2, 2] - (0, 0, 255)).max() < 12


def test_white_that_is_asked_for_on_the_line_is_seen(tmp_path, inbetween_command):
    for number in range(2):
        clear(8 * number).save(tmp_path / f"{number}.png")
    line = ["run", tmp_path / "0.png", tmp_path / "1.png", "--method", "interpolate", "--frames", "3", "-o"]
    inbetween_command(*line, tmp_path / "kept.webp")
    inbetween_command(*line, tmp_path / "white.webp", "--background", "white")
    assert [Clip.open(tmp_path / f"{name}.webp")[1].mode for name in ("kept", "white")] == ["RGBA", "RGB"]


@pytest.mark.parametrize("loop", [False, True])
def test_alpha_goes_through_every_keyframe(loop):
    """A disc of known path: alpha follows the colours, past the inner keyframe and round a loop."""
    shifts = [0, 3, 6, 9, 12, 8, 4] if loop else [0, 4, 8, 12, 9, 6, 3, 0]
    frames = [load_image(clear(shift)) for shift in shifts]
    places = (0, 4) if loop else (0, 3, 7)
    keyframes = [clear(shifts[place]) for place in places]
    timeline = Timeline(tuple(load_image(keyframe) for keyframe in keyframes), places, len(frames), loop=loop)
    carried = carry_alpha(frames, timeline, keyframes, Settings(width=64, height=48, num_frames=len(frames)))
    assert [carried[place].tobytes() for place in places] == [keyframe.tobytes() for keyframe in keyframes]
    for frame, shift in zip(carried, shifts, strict=True):
        off = np.abs(np.asarray(frame)[..., 3].astype(int) - np.asarray(clear(shift))[..., 3])
        assert (off > 128).sum() < 25  # of a disc of 305 pixels


def test_a_sampled_sequence_is_transparent_and_a_weak_keyframe_has_its_own_colours(tiny_folder, caplog):
    weak = Keyframe(clear(4), strength=0.5)
    with caplog.at_level("INFO"):
        clip = inbetween(
            [clear(0), weak, clear(8)], model=tiny_folder, method="trf", num_inference_steps=1, progress=False
        )  # fmt: skip
    assert "alpha follows its motion" in caplog.text and {frame.mode for frame in clip} == {"RGBA"}
    first, middle, last = fit_back([clear(0), clear(4), clear(8)], Settings(width=clip[0].width, height=clip[0].height))
    assert clip[0].tobytes() == first.tobytes() and clip[-1].tobytes() == last.tobytes()
    sampled = clip[len(clip) // 2]
    assert sampled.getchannel("A").tobytes() == middle.getchannel("A").tobytes()
    assert sampled.tobytes() != middle.tobytes()
