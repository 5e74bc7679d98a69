"""What a caller in Python may get wrong: one sentence that names it, before anything is computed."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween import (
    Clip,
    Keyframe,
    MemoryOptions,
    SamplerOptions,
    bridge,
    inbetween,
    loop,
    plan,
    retake,
)
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.interpolation import (
    constant_speed,
    edit_motion,
    interpolate_pair,
    load_interpolator,
    retime,
    retime_objects,
    retime_video,
)
from gen_inbetween.runtime.devices import open_device

FRAMES = [Image.new("RGB", (32, 32), (shade, shade, shade)) for shade in (0, 60, 120)]
A, B = FRAMES[:2]


@pytest.fixture(scope="module")
def pipe(tiny_pipe) -> InbetweenPipeline:
    return tiny_pipe(motion="full")


@pytest.fixture
def no_pass(pipe, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the VAE was at work")

    monkeypatch.setattr(pipe.vae, "encode", refuse)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fps": "7"}, "fps"), ({"fps": True}, "fps"), ({"fps": math.nan}, "fps"), ({"fps": math.inf}, "fps"),
        ({"fps": None}, "fps"), ({"fps": 0}, "fps"), ({"fps": [7]}, "fps"),
        ({"generator": 5}, "generator"), ({"generator": "cpu"}, "generator"), ({"generator": [5]}, "generator"),
        ({"decode_chunk_size": 8.0}, "decode_chunk_size"), ({"decode_chunk_size": True}, "decode_chunk_size"),
        ({"decode_chunk_size": 0}, "decode_chunk_size"), ({"decode": "slowly"}, "decode"),
        ({"num_videos_per_prompt": True}, "num_videos_per_prompt"), ({"num_videos_per_prompt": 1.0}, "num_videos_per"),
        ({"num_videos_per_prompt": 0}, "num_videos_per_prompt"), ({"num_frames": True}, "num_frames"),
        ({"num_frames": "6"}, "num_frames"), ({"num_frames": 0}, "num_frames"), ({"num_frames": 6.0}, "num_frames"),
        ({"height": 0}, "height"), ({"width": "32"}, "width"), ({"motion_bucket_id": "127"}, "motion_bucket_id"),
        ({"motion_bucket_id": True}, "motion_bucket_id"), ({"noise_aug_strength": "0.02"}, "noise_aug_strength"),
        ({"split_guidance": "no"}, "split_guidance"), ({"split_guidance": 1}, "split_guidance"),
        ({"num_inference_steps": True}, "num_inference_steps"), ({"num_inference_steps": "8"}, "num_inference_steps"),
        ({"num_inference_steps": 2.0}, "num_inference_steps"), ({"max_guidance_scale": "3"}, "max_guidance_scale"),
        ({"renoise_ratio": "half"}, "renoise_ratio"), ({"renoise_steps": True}, "renoise_steps"),
        ({"pin_ends": "yes"}, "pin_ends"), ({"cfg_plus_plus": 1}, "cfg_plus_plus"), ({"fusion": 3}, "fusion"),
        ({"method": 3}, "method"), ({"output_type": 5}, "output_type"),
        ({"callback_on_step_end": 5}, "callback_on_step"),
        ({"callback_on_step_end": print, "callback_on_step_end_tensor_inputs": ["x"]}, "callback tensors"),
        ({"options": {"num_inference_steps": 2}}, "options"), ({"latents": "noise"}, "latents"),
    ],
)  # fmt: skip
def test_the_pipeline_names_what_it_cannot_take(options, named, pipe, no_pass):
    method = {"method": "trf"} | options
    with pytest.raises((ValueError, TypeError)) as caught:
        pipe(A, B, **method)
    assert named in str(caught.value) and "\n" not in str(caught.value)


def test_the_scale_of_a_motion_is_a_number(pipe, tmp_path):
    with pytest.raises(ValueError, match="motion_scale as a finite number, got 'a'"):
        pipe.load_motion(tmp_path / "gone.safetensors", motion_scale="a")  # before a file is read
    for scale in ("a", True, math.nan, None):
        with pytest.raises(ValueError, match="motion_scale"):
            pipe.motion_scale = scale


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Clip.open(5), "a path"), (lambda: Clip.open(None), "a path"),
        (lambda: Clip.open([]), "no images|holds no|empty"),
        (lambda: Clip(FRAMES, "7"), "fps"), (lambda: Clip(FRAMES, True), "fps"), (lambda: Clip(FRAMES, None), "fps"),
        (lambda: Clip("a.png", 7), "Clip.open"), (lambda: Clip(FRAMES, 7, "made by me"), "manifest"),
        (lambda: Clip(FRAMES, 7, plays="often"), "plays"), (lambda: Clip(FRAMES, 7, plays=-1), "plays"),
        (lambda: Clip(FRAMES, 7, starts=[0, 1, 2, math.inf]), "times"),
        (lambda: Clip.open(FRAMES), "Clip(frames, fps)"),
        (lambda: Clip(FRAMES, math.nan), "fps"), (lambda: Clip([], 7), "frames"), (lambda: Clip([5], 7), "int"),
        (lambda: inbetween(A, B, seed="7"), "seed"), (lambda: inbetween(A, B, seed=True), "seed"),
        (lambda: inbetween(A, B, num_frames=0), "num_frames"), (lambda: inbetween(A, B, num_frames="5"), "num_frames"),
        (lambda: inbetween(A, B, width="64"), "width"), (lambda: inbetween(A, B, fps="7"), "fps"),
        (lambda: inbetween(A, B, exact_ends="no"), "exact_ends"), (lambda: inbetween(A, B, device="meta"), "meta"),
        (lambda: inbetween(A, B, background="white"), "background"), (lambda: inbetween(A, 5), "int"),
        (lambda: inbetween(A, B, generator=5), "int"), (lambda: inbetween(A, B, pipeline=5), "pipeline"),
        (lambda: inbetween(A, B, decode_chunk_size="8"), "decode_chunk_size"),
        (lambda: inbetween(A, B, sede=1), "seed"), (lambda: inbetween(Clip(FRAMES, 7)), "one Clip alone"),
        (lambda: inbetween(torch.zeros(3, 32, 32).to_sparse(), B), "sparse"),
        (lambda: inbetween(torch.zeros(3, 32, 32, device="meta"), B), "meta"),
        (lambda: inbetween("x" * 5000, B), "no such file"),
        (lambda: inbetween(A, B, method="svd", model="pocket-2", draft=np.zeros((2, 9))), "draft|frame is"),
        (lambda: plan("pocket-2", num_frames=0), "num_frames"), (lambda: plan("pocket-2", width=True), "width"),
        (lambda: plan("pocket-2", vram_gb="16"), "vram_gb"), (lambda: plan("pocket-2", vram_gb=math.nan), "vram_gb"),
        (lambda: plan("pocket-2", positions=[0, "a"]), "positions"),
        (lambda: plan("pocket-2", positions=[0]), "positions"),
        (lambda: plan("pocket-2", positions=[5, 0]), "positions"), (lambda: plan("pocket-2", options={}), "options"),
        (lambda: plan(5), "5"), (lambda: plan("pocket-2", method=None), "method"),
        (lambda: SamplerOptions(num_inference_steps="8"), "num_inference_steps"),
        (lambda: MemoryOptions(forward_chunking=True), "forward_chunking"),
        (lambda: MemoryOptions(offload=1), "offload"),
        (lambda: open_device(5.5), "device"), (lambda: open_device("cuda:99"), "cuda:99"),
        (lambda: open_device([]), "dev"),
        (lambda: interpolate_pair(A, B, "5"), "num_frames"), (lambda: interpolate_pair(A, B, True), "num_frames"),
        (lambda: interpolate_pair(A, B, 5, iters="2"), "iters"), (lambda: interpolate_pair(A, B, 5, fps="7"), "fps"),
        (lambda: interpolate_pair(A, B, 5, interpolator=5), "interpolator"),
        (lambda: load_interpolator(5), "5"), (lambda: load_interpolator("dis", scale="1"), "scale"),
        (lambda: retime(FRAMES, fps="7"), "fps"), (lambda: retime(FRAMES, fps=True), "fps"),
        (lambda: retime(FRAMES, fps=7, num_frames=True), "num_frames|frames"),
        (lambda: retime(FRAMES, fps=math.inf), "fps"),
        (lambda: retime(FRAMES, fps=7, duration="2"), "duration"), (lambda: retime(FRAMES, fps=7, phase="0"), "phase"),
        (lambda: retime(FRAMES, fps=7, times="ab"), "times"), (lambda: retime(FRAMES, fps=7, curve=5), "curve"),
        (lambda: retime(5, fps=7), "int"), (lambda: constant_speed(FRAMES, fps=True), "fps"),
        (lambda: retime_video("gone.mp4", "out.mp4", fps=7), "gone.mp4"),
        (lambda: retime_video(5, "out.mp4"), "path|PathLike"),
        (lambda: edit_motion(A, B, [], [], num_frames="5"), "num_frames"),
        (lambda: edit_motion(A, B, [], [], fps=0), "fps"),
        (lambda: retime_objects(FRAMES, [], [], num_frames=True), "num_frames"),
    ],
)  # fmt: skip
def test_functions_name_what_they_cannot_take(call, named):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert any(part in str(caught.value) for part in named.split("|")) and "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers(pipe):
    options = {"num_inference_steps": np.int64(1), "num_frames": np.int32(6), "fps": np.float32(7)}
    frames = pipe(A, B, method="trf", output_type="latent", generator=torch.Generator().manual_seed(0), **options)
    assert frames.latents.shape[1] == 6


BLEND = {"method": "interpolate", "interpolator": "blend", "progress": False}
RETIMED = {"interpolator": "blend", "progress": False}
TEN = [*FRAMES, *FRAMES]


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: bridge(Clip(FRAMES, np.float32(7)), Clip(FRAMES, 7), num_frames=np.int64(3), **BLEND), 9),
        (lambda: bridge(*[Clip(FRAMES, Fraction(30000, 1001))] * 2, num_frames=3, context=np.int32(1), **BLEND), 9),
        (lambda: loop(Clip(TEN, 7), num_frames=np.int64(8), **BLEND), 8),
        (lambda: retake(Clip(TEN, 7), np.int64(1), np.int64(3), **BLEND), 6),
        (lambda: retime(Clip(FRAMES, np.float32(7)), fps=14, phase=np.float32(0.5), **RETIMED), 6),
        (lambda: retime(FRAMES, fps=7, num_frames=5, iters=np.int64(1), **RETIMED), 5),
        (lambda: inbetween(A, B, num_frames=np.int64(3), fps=np.float32(7), **BLEND), 3),
        (lambda: inbetween(A, B, num_frames=3, fps=Fraction(30000, 1001), **BLEND), 3),
        (lambda: inbetween([Keyframe(A, np.int64(0)), Keyframe(B, np.int64(2))], **BLEND), 3),
    ],
)
def test_clips_made_with_numbers_of_numpy_are_written(make, count, tmp_path):
    clip = make()
    clip.save(tmp_path / "clip.mp4")
    assert len(Clip.open(tmp_path / "clip.mp4")) == count
    assert type(clip.fps) in (int, float) and f"{clip.fps:g}" in repr(clip)
    json.dumps(clip.manifest)


def test_plans_take_numbers_of_numpy():
    size = {"num_frames": 10, "width": 64}
    given = {name: np.int64(value) for name, value in size.items()}
    assert plan("pocket-2", **given) == plan("pocket-2", **size)
    places = [0, 5, 9]
    assert plan("pocket-2", positions=np.array(places), **given) == plan("pocket-2", positions=places, **size)


def test_places_of_a_keyframe_are_plain_numbers():
    keyframe = Keyframe(A, np.float32(1.5), np.float64(0.5))
    assert (type(keyframe.position), keyframe.position, type(keyframe.strength)) == (float, 1.5, float)
    assert type(Keyframe(A, np.int16(-1)).position) is int
