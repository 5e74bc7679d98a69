"""Two pictures on a machine without SVD: what comes out where nothing is said, and what is said of it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from gen_inbetween.generation import demo
from gen_inbetween.generation import generate as generation
from gen_inbetween.generation.auto import lacking_model
from gen_inbetween.generation.batch import read_pairs, run_batch
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.replay import replay
from gen_inbetween.generation.settings import Settings
from gen_inbetween.generation.stream import stream
from gen_inbetween.models import registry
from gen_inbetween.runtime.messages import tell_once, warn_once

SENTENCE = (
    "interpolated by dis-splat at the pictures' own size, since there is no GPU and no svd-xt weights here and the "
    "bundled model pocket-2 knows only drawn things of 64 x 64 pixels; svd-xt makes generated motion: take a machine "
    "with a GPU and run `hf download stabilityai/stable-video-diffusion-img2vid-xt`, or put its folder at "
    "$GEN_INBETWEEN_MODELS/svd-xt"
)


@pytest.fixture(autouse=True)
def without_svd(tmp_path, monkeypatch, caplog):
    warn_once.cache_clear()
    tell_once.cache_clear()
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(registry, "default_device", lambda: torch.device("cpu"))
    caplog.set_level(logging.WARNING, logger="gen_inbetween")


@pytest.fixture
def pan(tmp_path) -> tuple[Path, Path]:
    """A camera that pans by a tenth of a photograph of 96 x 80 pixels."""
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 256, (20, 28, 3), dtype=np.uint8)).resize(
        (112, 80), Image.Resampling.BICUBIC
    )
    scene = scene.filter(ImageFilter.GaussianBlur(2))
    for name, left in (("a", 4), ("b", 12)):
        scene.crop((left, 0, left + 96, 80)).save(tmp_path / f"{name}.png")
    return tmp_path / "a.png", tmp_path / "b.png"


@pytest.fixture
def apart(tmp_path) -> tuple[Path, Path]:
    """Two pictures that have nothing in common."""
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        noise = Image.fromarray(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8))
        noise.resize((96, 80), Image.Resampling.BICUBIC).save(tmp_path / f"apart{seed}.png")
    return tmp_path / "apart1.png", tmp_path / "apart2.png"


@pytest.fixture
def no_model(monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("a diffusion model was opened")

    monkeypatch.setattr(generation, "open_pipeline", refuse)


@pytest.mark.parametrize("method", [None, "auto"])
def test_photographs_are_interpolated_at_their_own_size_and_one_sentence_says_so(method, pan, no_model, caplog):
    clip = inbetween(*pan, method=method, num_frames=5, progress=False)
    assert (clip.size, len(clip)) == ((96, 80), 5) and clip.manifest["unet_passes"] == 0
    assert caplog.messages == [SENTENCE]
    auto = clip.manifest["auto"]
    assert (auto["method"], auto["lacking"], auto["seen_by"]) == (
        "interpolate",
        "no GPU and no svd-xt weights",
        "dis-splat",
    )
    assert auto["displacement"] > 6 and auto["disagreement"] <= 24  # far, and found: no double exposure
    middle = np.asarray(clip[2], int)
    truth = (np.asarray(clip[0], int)[:, 4:], np.asarray(clip[-1], int)[:, :-4])  # the scene has moved by half of 8
    assert np.abs(middle[:, 8:-8] - truth[0][:, 8 : 96 - 8]).mean() < 4


@pytest.mark.parametrize("method", [None, "auto"])
def test_a_stream_makes_the_same_clip_and_counts_its_frames(method, pan, no_model, caplog):
    events = list(stream(*pan, method=method, num_frames=5))
    assert [(event.step, event.steps) for event in events] == [(1, 3), (2, 3), (3, 3), (3, 3)]
    clip = inbetween(*pan, method=method, num_frames=5, progress=False)
    assert events[-1].clip.manifest["frames_sha256"] == clip.manifest["frames_sha256"]
    assert caplog.messages == [SENTENCE]


def test_the_length_and_rate_are_those_of_interpolation(pan, no_model):
    assert (len(inbetween(*pan, interpolator=None, fps=12, progress=False)), Settings().num_frames) == (25, None)
    assert inbetween(*pan, width=48, num_frames=3, progress=False).size == (48, 40)


def test_what_only_a_diffusion_model_reads_is_named(pan, no_model, caplog):
    clip = inbetween(*pan, num_inference_steps=8, renoise_steps=0, num_frames=3, progress=False)
    assert (
        caplog.messages[1] == "no diffusion model is at work, so nothing reads num_inference_steps 8, renoise_steps 0"
    )
    assert "num_inference_steps" not in clip.manifest["settings"]


@pytest.mark.parametrize(("name", "said"), [("dis-splat", True), ("blend", True), ("nearest", False)])
def test_a_double_exposure_is_announced(name, said, apart, no_model, caplog):
    inbetween(*apart, method="interpolate", interpolator=name, num_frames=3, progress=False)
    assert [message.startswith(f"large motion: {name} leaves") for message in caplog.messages] == [True] * said
    if said:
        assert "(limit 24), so that what moves shows twice in places, as in a double exposure" in caplog.text


def test_networks_have_a_limit_of_their_own(apart, no_model, caplog):
    inbetween(*apart, method="interpolate", interpolator="tiny-di", num_frames=3, progress=False)
    assert "large motion: tiny-di leaves" in caplog.text and "(limit 40)" in caplog.text


def test_nothing_is_announced_where_the_motion_is_found(pan, no_model, caplog):
    inbetween(*pan, method="interpolate", num_frames=3, progress=False)
    assert caplog.messages == []


def test_a_batch_says_it_once_and_names_its_large_motions(pan, apart, tmp_path, no_model, caplog):
    names = [[path.name for path in pair] for pair in (pan, apart, pan)]
    lines = [{"frame0": a, "frame1": b, "out": f"{n}.gif", "num_frames": 3} for n, (a, b) in enumerate(names)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    summary = run_batch(read_pairs(tmp_path / "pairs.jsonl", tmp_path / "out", {}))
    assert (summary.generated, summary.failures) == (3, [])
    assert (
        caplog.messages[0] == SENTENCE and len(caplog.messages) == 2 and caplog.messages[1].startswith("large motion")
    )


def test_replay_goes_the_same_way(pan, tmp_path, no_model):
    clip = inbetween(*pan, num_frames=3, progress=False)
    clip.save(tmp_path / "clip.gif")
    written = next(path for path in tmp_path.glob("*.json"))
    again = replay(written, progress=False)
    assert again.manifest["replay"]["frames_equal"] and again.manifest["auto"] == clip.manifest["auto"]


@pytest.mark.parametrize(
    ("settings", "size", "lacking"),
    [
        ({}, (65, 64), True),
        ({}, (64, 65), True),
        ({}, (64, 64), False),  # pocket-2's own world
        ({"method": "auto"}, (65, 65), True),
        ({"method": "trf"}, (65, 65), False),  # asked for
        ({"method": "interpolate"}, (65, 65), False),
        ({"model": "pocket-2"}, (65, 65), False),
        ({"model": "svd-xt"}, (65, 65), False),
    ],
)
def test_only_what_is_left_open_is_decided(settings, size, lacking):
    keyframes = Image.new("RGB", (64, 64)), Image.new("RGB", size)
    assert (lacking_model(Settings(**settings), keyframes) is not None) is lacking


def test_where_svd_is_there_nothing_stands_in_for_it(monkeypatch, tmp_path):
    folder = Path(registry.MODELS["pocket-2"].source)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "svd-xt").symlink_to(folder, target_is_directory=True)
    frame = Image.new("RGB", (65, 65))
    assert lacking_model(Settings(), (frame, frame)) == "no GPU"
    monkeypatch.setattr(registry, "default_device", lambda: torch.device("cuda"))
    assert lacking_model(Settings(), (frame, frame)) is None


def test_pocket_says_what_it_is_made_for(pan, caplog):
    clip = inbetween(*pan, model="pocket-2", method="svd", num_inference_steps=1, num_frames=14, progress=False)
    assert clip.size == (64, 64) and "pocket-2: 64 x 64 pixels, drawn things" in caplog.text


def test_the_demo_interpolates_the_photographs(pan, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "keyframes", lambda name: pan)
    monkeypatch.setattr(demo, "PAIRS", ("photo",))
    names = [path.name for path in demo.make_demo(tmp_path / "demo", num_inference_steps=1)]
    assert names == ["photo_interpolate.mp4", "photo.mp4", "photo.png"]
