"""Methods "interpolate" and "auto": what is made, what is written down, what is refused, where pairs go."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.generation import batch
from gen_inbetween.generation import generate as generation
from gen_inbetween.generation.auto import measure_motion
from gen_inbetween.generation.generate import describe_plan, inbetween
from gen_inbetween.generation.replay import replay
from gen_inbetween.generation.settings import Settings
from gen_inbetween.interpolation import (
    INTERPOLATORS,
    Flows,
    FrameInterpolator,
    InterpolatorInfo,
    interpolate_pair,
    load_interpolator,
)
from gen_inbetween.interpolation.pairs import interpolations
from gen_inbetween.media.fit import crossfade, fit_pair
from gen_inbetween.models.demo_pairs import keyframes as demo_keyframes
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.manifest import FORMAT, ManifestError
from gen_inbetween.runtime.messages import warn_once

MANIFESTS = Path(__file__).parent / "manifests"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    warn_once.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def no_model(monkeypatch):
    def refuse(*args, **settings):
        raise AssertionError("a diffusion model was opened")

    monkeypatch.setattr(generation, "open_pipeline", refuse)


@pytest.fixture
def keyframes(tmp_path):
    """Two files of different sizes."""
    rng = np.random.default_rng(0)
    for name, size in (("first", (24, 40)), ("last", (30, 30))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path / "first.png", tmp_path / "last.png"


class Moving(FrameInterpolator):
    """A stand-in: every frame is `shade`, and all that is seen moves by `pixels` to the right."""

    device = torch.device("cpu")

    def __init__(self, pixels=0.0, shade=0.25, sha256="made up"):
        self.pixels, self.shade = pixels, shade
        self.info = InterpolatorInfo("moving", "stand-in", "1", "time", 1, "none", sha256=sha256)

    def __call__(self, a, b, t, *, ref=None, iters=1):
        return torch.full_like(a, self.shade)

    def flows(self, a, b, t):
        flow = torch.zeros(len(a), 2, *a.shape[-2:])
        flow[:, 0] = self.pixels / 2
        return Flows(-flow, flow, torch.full_like(a[:, :1], 0.5))


@pytest.fixture
def moving(monkeypatch):
    """Opens the stand-in by name; returns a function that sets how it behaves."""

    def behave(**settings):
        monkeypatch.setitem(INTERPOLATORS, "moving", lambda kind, device, scale: Moving(**settings))

    behave()
    return behave


def interpolate(*frames, **settings):
    return inbetween(*frames, **{"method": "interpolate", "interpolator": "blend", "progress": False, **settings})


def test_interpolate_opens_no_diffusion_model_and_keeps_the_keyframes_size(keyframes, no_model):
    clip = interpolate(*keyframes)
    assert (len(clip), clip.size, clip.fps) == (25, (40, 24), 7)
    fitted0, fitted1, _ = fit_pair(*(Image.open(path).convert("RGB") for path in keyframes), 40, 24)
    assert [clip[0], clip[-1]] == [fitted0, fitted1]
    halves = np.stack([np.asarray(clip[12]), np.asarray(crossfade(fitted0, fitted1, 25)[12])]).astype(int)
    assert np.abs(halves[0] - halves[1]).max() <= 1  # what blend does; PIL cuts off where it rounds


def test_the_manifest_says_what_was_read_and_nothing_else(keyframes, no_model):
    made = interpolate(*keyframes, num_frames=5, fps=12).manifest
    assert made["format"] == FORMAT and made["unet_passes"] == 0 and made["interpolations"] == 3
    assert made["frames"]["frame0"]["path"] == str(keyframes[0].resolve())
    assert made["interpolator"]["name"] == "blend"
    assert made["settings"] == {
        "method": "interpolate", "interpolator": "blend", "iters": 1, "seed": 0, "num_frames": 5, "width": 40,
        "height": 24, "fit": "crop", "background": (255, 255, 255), "exact_ends": True, "loop": False, "still": None,
        "fps": 12, "device": "cpu",
    }  # fmt: skip
    assert made["seconds"] >= 0 and made["versions"]["torch"] == torch.__version__
    assert "auto" not in made


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"width": 80}, (80, 48)),
        ({"height": 48}, (80, 48)),
        ({"width": 33, "height": 17}, (33, 17)),
        ({"width": 40, "height": 40, "fit": "pad"}, (40, 24)),
    ],
)
def test_size_can_be_chosen(keyframes, settings, size):
    assert interpolate(*keyframes, num_frames=3, **settings).size == size


def test_ends_may_go_through_the_interpolator_too(keyframes, moving):
    shades = [np.unique(frame).tolist() for frame in interpolate(*keyframes, interpolator="moving", exact_ends=False)]
    assert shades == 25 * [[64]]


def test_every_seed_is_the_same_clip(keyframes):
    hashes = {interpolate(*keyframes, num_frames=4, seed=seed).manifest["frames_sha256"] for seed in (0, 5)}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"max_guidance_scale": 2.0},
            r"scale 2.0: belongs to .* interpolate takes interpolator, iters, seed",
        ),
        ({"motion": None, "model": "svd"}, "model svd, motion None: belong to"),
        ({"method": "gi", "interpolator": "dis"}, "interpolator dis: belongs to the methods interpolate and auto"),
        ({"method": None, "interpolator": None, "iters": 2}, "iters 2: belongs .* got method None"),
        ({"iters": 2}, "looks at no reference"),
        ({"interpolator": "blnd"}, "no interpolator or file 'blnd'; the names are"),
        ({"num_frames": 1}, "2 or more"),
        ({"width": 8, "height": 8}, "at least 16 x 16"),
        ({"method": "interpolat", "interpolator": None}, "svd, interpolate, auto.* did you mean 'interpolate'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_model_is_opened(keyframes, no_model, settings, message):
    with pytest.raises(ValueError, match=message):
        interpolate(*keyframes, **settings)


def auto(keyframes, folder, **settings):
    settings = {"method": "auto", "model": folder, "interpolator": "moving", "progress": False, **settings}
    return inbetween(*keyframes, **settings)


@pytest.fixture
def alike(tmp_path):
    """Two keyframes that hardly differ."""
    ramp = np.tile(np.linspace(40, 200, 48).astype(np.uint8)[None, :, None], (32, 1, 3))
    for name, shade in (("a", 0), ("b", 3)):
        Image.fromarray(ramp + np.uint8(shade)).save(tmp_path / f"{name}.png")
    return tmp_path / "a.png", tmp_path / "b.png"


def test_auto_gives_tiny_motion_to_the_interpolator_and_says_so(alike, tiny_folder, moving, no_model, caplog):
    moving(pixels=0.25)  # of 32
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        clip = auto(alike, tiny_folder, num_inference_steps=1)
    assert caplog.messages == [
        "method auto: interpolate by moving, since the fastest 1 % of the picture moves 2.0 px of 256 (limit 6) and is "
        f"explained to {clip.manifest['auto']['disagreement']:.0f} grey levels"
    ]
    assert (len(clip), clip.size) == (6, (32, 32))  # as the model would make it: lists come out in one form
    assert clip.manifest["settings"]["method"] == clip.manifest["auto"]["method"] == "interpolate"
    assert clip.manifest["auto"]["displacement"] == 2.0
    assert clip.manifest["auto"]["limits"] == {"displacement": 6.0, "disagreement": 32.0}
    assert auto(alike, tiny_folder, num_frames=4, width=40, height=20).size == (40, 20)


def test_auto_gives_motion_to_the_model(alike, tiny_folder, moving, caplog):
    moving(pixels=1.125)
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        clip = auto(alike, tiny_folder, num_inference_steps=1)
    assert caplog.messages[0].startswith("method auto: trf, since the fastest 1 % of the picture moves 9.0 px of 256")
    assert clip.manifest["settings"]["method"] == clip.manifest["auto"]["method"] == "trf"
    assert clip.manifest["settings"]["interpolator"] is None
    assert clip.manifest["unet_passes"] > 0


def test_auto_is_not_fooled_by_an_interpolator_that_sees_nothing_move(keyframes, tiny_folder, caplog):
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        clip = auto(keyframes, tiny_folder, interpolator="blend", num_inference_steps=1)
    assert clip.manifest["auto"]["displacement"] == 0.0
    assert clip.manifest["settings"]["method"] == "trf"
    assert "grey levels of difference between the keyframes unexplained (limit 32)" in caplog.text


def test_motion_is_measured_in_pixels_of_256():
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(0, 256, (16, 20, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    frames = [Image.fromarray(scene[:, left : left + 128]) for left in (0, 4)]
    motion = measure_motion(*frames, load_interpolator("dis"))  # frames of 128 x 128, moved by 4 of its pixels
    assert motion.displacement == pytest.approx(8.0, abs=2.0)  # the fastest 1 %, so DIS's noise too
    assert not motion.tiny and "(limit 6)" in motion.why


def test_replay_compares_the_frames(keyframes, tmp_path):
    clip = interpolate(*keyframes, interpolator="dis", num_frames=4, fit="pad", width=48, height=48)
    clip.save(tmp_path / "clip.gif")
    again = replay(tmp_path / "clip.gif.inbetween.json", progress=False)
    assert again.manifest["replay"] == {"of": str(tmp_path / "clip.gif.inbetween.json"), "frames_equal": True}
    assert list(again) == list(clip) and again.manifest["interpolator"] == clip.manifest["interpolator"]
    made = json.loads((tmp_path / "clip.gif.inbetween.json").read_text())
    made["settings"]["fit"] = "crop"
    (tmp_path / "clip.gif.inbetween.json").write_text(json.dumps(made))
    assert replay(tmp_path / "clip.gif.inbetween.json", progress=False).manifest["replay"]["frames_equal"] is False


def test_replay_of_an_auto_clip_goes_the_same_way_and_still_says_why(alike, tiny_folder, moving, tmp_path):
    clip = auto(alike, tiny_folder)
    clip.save(tmp_path / "clip.gif")
    moving(pixels=99.0)  # would be sampled now
    again = replay(tmp_path / "clip.gif.inbetween.json", progress=False)
    assert again.manifest["replay"]["frames_equal"]
    assert again.manifest["auto"] == clip.manifest["auto"]


def test_replay_of_interpolate_pair(tmp_path, moving):
    frames = [Image.new("RGB", (20, 20), (shade,) * 3) for shade in (10, 200)]
    frames[0].save(tmp_path / "a.png")
    interpolate_pair(tmp_path / "a.png", frames[1], 5, load_interpolator("moving"), fps=23.976).save(tmp_path / "c.gif")
    with pytest.raises(ManifestError, match="frame1 was given in memory"):
        replay(tmp_path / "c.gif.inbetween.json")
    again = replay(tmp_path / "c.gif.inbetween.json", frame1=frames[1], progress=False)
    assert again.manifest["replay"]["frames_equal"] and again.fps == 23.976
    moving(sha256="other")
    with pytest.raises(ManifestError, match="the interpolator moving has changed since"):
        replay(tmp_path / "c.gif.inbetween.json", frame1=frames[1])


OF_SAMPLING = {"model": {"name": "pocket-2", "sha256": "0", "license": None}, "motion": {"sha256": "0"}, "memory": {}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"method": "retime", "fps": 60}}, "made by retime; replay makes clips of"),
        ({"frames_sha256": None}, "no hash of the clip's frames"),
        (
            {"settings": {"method": "interpolate", "interpolator": "flownet.pkl", "fps": 7}},
            "say where they are .*--inter",
        ),
        (
            {"settings": {"method": "gi", "fps": 7}, "latents_sha256": "0", **OF_SAMPLING},
            "made by gi, which has no interp",
        ),
    ],
)
def test_replay_says_what_it_cannot_make_again(keyframes, tmp_path, change, message):
    made = {**json.loads(json.dumps(interpolate(*keyframes, num_frames=3).manifest)), **change}
    made = {key: value for key, value in made.items() if value is not None}
    (tmp_path / "clip.gif.inbetween.json").write_text(json.dumps(made))
    interpolator = "dis" if made["settings"]["method"] == "gi" else None
    with pytest.raises(ManifestError, match=message):
        replay(tmp_path / "clip.gif.inbetween.json", interpolator=interpolator)


def test_the_interpolator_of_auto_is_opened_once(alike, tiny_folder, monkeypatch, no_model):
    opened = []
    monkeypatch.setitem(INTERPOLATORS, "moving", lambda kind, device, scale: opened.append(kind) or Moving())
    assert auto(alike, tiny_folder).manifest["settings"]["method"] == "interpolate"
    assert opened == ["auto"]


@pytest.mark.parametrize("kind", ["flow", "interpolate_pair", "trf", "gi"])
def test_a_manifest_of_format_1_is_still_replayed(kind, tmp_path):
    first, last = (
        demo_keyframes("photo") if kind == "gi" else [MANIFESTS / f"synthetic_{end}.png" for end in ("first", "last")]
    )
    before = json.loads((MANIFESTS / f"format1_{kind}.json").read_text())
    if kind in ("trf", "gi"):  # they are of the first bundled model, which is no more
        with pytest.raises(ModelError, match="take pocket-2"):
            replay(MANIFESTS / f"format1_{kind}.json", frame0=first, frame1=last, progress=False)
        pipe = open_pipeline("pocket-2")
        before["settings"]["model"] = before["model"]["name"] = "pocket-2"
        before["model"]["sha256"], before["motion"]["sha256"] = pipe.weights_sha256, pipe.motion.sha256
    (tmp_path / "before.json").write_text(json.dumps(before))
    again = replay(tmp_path / "before.json", frame0=first, frame1=last, progress=False)
    settings = again.manifest["settings"]
    assert again.manifest["format"] == FORMAT == 2
    assert (len(again), again.fps) == (before["settings"]["num_frames"], before["settings"]["fps"])
    if kind in ("trf", "gi"):  # bits of a network's output differ between processors, so only that they were compared
        assert "latents_equal" in again.manifest["replay"]
        assert settings["vram_gb"] == before["settings"]["vram"] and settings["method"] == kind
        assert again.manifest["memory"]["split_guidance"] is before["levers"]["split_guidance"]
        assert again.manifest["unet_passes"] == before["unet_passes"]
    else:
        assert again.manifest["replay"]["frames_equal"] and settings["method"] == "interpolate"


def test_yaml_and_batch_take_the_methods(keyframes, tmp_path, no_model):
    for method in ("interpolate", "flow"):  # the second is the old name
        (tmp_path / "run.yaml").write_text(f"method: {method}\ninterpolator: blend\nnum_frames: 3\n")
        settings = load(Settings, tmp_path / "run.yaml")
        assert settings == Settings(method="interpolate", interpolator="blend", num_frames=3)
    lines = [{"frame0": "first.png", "frame1": "last.png", "out": "a.gif", "seed": 2}]
    lines += [{**lines[0], "out": "b.gif", "method": "gi", "interpolator": "dis"}]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    entries = batch.read_pairs(tmp_path / "pairs.jsonl", tmp_path / "out", {"method": "flow", "interpolator": "blend"})
    summary = batch.run_batch(entries)
    assert summary.generated == 1
    assert summary.failures == [
        "pairs.jsonl:2: interpolator dis: belongs to the methods interpolate and auto, got method gi"
    ]
    assert (tmp_path / "out" / "a.gif.inbetween.json").exists()


def test_plans(moving, tiny_folder):
    line, method = describe_plan(Settings(method="interpolate", interpolator="blend", width=64, height=32))
    assert "25 frames of 64x32: 0 UNet passes, 23 interpolations" in line and method is None
    assert [interpolations("midpoint", count) for count in (2, 3, 4, 9)] == [
        0,
        1,
        13,
        7,
    ]  # thirds take 7 halvings, one of them shared
    assert interpolations("index+ref", 9, iters=2) == 14
    line, method = describe_plan(
        Settings(model=str(tiny_folder), method="auto", interpolator="moving", num_inference_steps=3)
    )
    assert (method, line.splitlines()[-1]) == ("trf", "otherwise trf:")
    assert "6 frames of 32x32" in line
    with pytest.raises(ValueError, match="num_inference_steps 3: belongs to"):
        describe_plan(Settings(method="interpolate", interpolator="moving", num_inference_steps=3))


def test_the_command_makes_and_replays_an_interpolated_clip(keyframes, tmp_path, monkeypatch, no_model):
    monkeypatch.chdir(tmp_path)

    def said(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, (result.stdout or result.stderr).splitlines()[-1]

    line = ("run", *keyframes, "-o", "clip.gif", "--method", "interpolate", "--interpolator", "blend", "--frames", 4)
    status, last = said(*line)
    assert status == 0 and last.startswith("clip.gif: Clip(4 frames, 40x24, 7 fps, 0.57 s), 0 UNet passes")
    assert said("replay", "clip.gif.inbetween.json") == (0, "the frames are equal")
    made = json.loads((tmp_path / "clip.gif.inbetween.json").read_text())
    (tmp_path / "clip.gif.inbetween.json").write_text(json.dumps({**made, "frames_sha256": "0"}))
    assert said("replay", "clip.gif.inbetween.json") == (1, "error: the frames differ from those of the first run")
    assert said(*line, "--steps", 3)[0] == 2
    status, last = said("plan", "--method", "flow", "--interpolator", "nearest", "--frames", 9)
    assert status == 0 and "9 frames of the keyframes' own size: 0 UNet passes, 7 interpolations" in last
