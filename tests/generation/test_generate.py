"""inbetween() and replay() on a tiny random model: what comes out, what is written down, what is refused."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.generation.generate import Own, inbetween, open_source
from gen_inbetween.generation.replay import replay
from gen_inbetween.generation.resolve import approximations, resolve_run
from gen_inbetween.generation.settings import Settings, settings_of_manifest
from gen_inbetween.media.fit import fit_pair
from gen_inbetween.memory.options import MemoryOptions
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.config import ConfigError
from gen_inbetween.runtime.hashing import tensor_sha256
from gen_inbetween.runtime.manifest import ManifestError, installed_version, record
from gen_inbetween.runtime.messages import warn_once
from gen_inbetween.runtime.outputs import path_beside


@pytest.fixture(scope="module")
def keyframes(tmp_path_factory):
    """Two files of different sizes, larger than the model's 32 x 32 pixels."""
    folder = tmp_path_factory.mktemp("keyframes")
    rng = np.random.default_rng(0)
    for name, size in (("first", (48, 80)), ("last", (60, 60))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    return folder / "first.png", folder / "last.png"


@pytest.fixture(scope="module")
def motion_file(tiny_pipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "backward_motion.safetensors"
    save_motion(tiny_pipe(motion="full").unet, path, {"base_model": "tiny"})
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    warn_once.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def make(tiny_folder, keyframes):
    """`inbetween` on the tiny model with one step; keywords change that."""

    def call(*frames, **settings):
        settings = {"model": tiny_folder, "num_inference_steps": 1, "progress": False, **settings}
        return inbetween(*(frames or keyframes), **settings)

    return call


def pixels(clip):
    return np.stack([np.asarray(frame) for frame in clip])


def test_without_motion_the_default_is_trf_and_it_says_so(make, keyframes, caplog):
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        clip = make()
    assert [line for line in caplog.messages if line.startswith("method trf: ")]
    assert (len(clip), clip.size, clip.fps) == (6, (32, 32), 7)
    assert clip.manifest["settings"]["method"] == "trf"
    assert clip.manifest["unet_passes"] == METHODS["trf"].unet_passes(SamplerOptions(1))


def test_with_motion_the_default_is_gi(make, motion_file):
    clip = make(motion=motion_file, num_inference_steps=2, renoise_steps=1)
    assert clip.manifest["settings"]["method"] == "gi"
    assert clip.manifest["unet_passes"] == METHODS["gi"].unet_passes(SamplerOptions(2, renoise_steps=1))
    assert len(clip.manifest["motion"]["sha256"]) == 64


def test_gi_without_motion_says_what_to_do(make):
    with pytest.raises(MissingMotionError, match="trf and vibid"):
        make(method="gi")


def test_ends_are_the_fitted_keyframes_unless_told_otherwise(make, keyframes):
    fitted0, fitted1, _ = fit_pair(*(Image.open(path).convert("RGB") for path in keyframes), 32, 32)
    clip, decoded = make(), make(exact_ends=False)
    assert clip[0] == fitted0
    assert clip[-1] == fitted1
    assert decoded[0] != fitted0
    assert np.array_equal(pixels(clip)[1:-1], pixels(decoded)[1:-1])


def test_padding_is_undone(make):
    clip = make(fit="pad")  # the first keyframe is 80 x 48
    assert clip.size == (32, 20)


def test_every_kind_of_frame_is_the_same_frame(make, keyframes):
    from_paths = make()
    images = [Image.open(path).convert("RGB") for path in keyframes]
    arrays = [np.asarray(image) for image in images]
    tensors = [torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays]
    for frames in (images, arrays, tensors, [str(path) for path in keyframes]):
        assert make(*frames).manifest["latents_sha256"] == from_paths.manifest["latents_sha256"]


def test_a_seed_is_a_video(make):
    hashes = [make(seed=seed).manifest["latents_sha256"] for seed in (0, 1, 0)]
    assert hashes[0] == hashes[2] != hashes[1]


def test_memory_options_change_no_pixel_by_more_than_rounding(make):
    one_batch, in_turn = make(split_guidance=False), make(split_guidance=True, decode="all")
    assert in_turn.manifest["memory"]["split_guidance"] is True
    assert np.abs(pixels(one_batch).astype(int) - pixels(in_turn)).max() <= 1


def test_a_chunk_size_alone_means_chunks(make):
    manifest = make(decode_chunk_size=4).manifest
    assert manifest["memory"]["decode"] == "chunked" and "decode=chunked" in manifest["approximations"]


def test_size_and_length_can_be_chosen(make):
    clip = make(width=48, height=36, num_frames=4)
    assert (len(clip), clip.size) == (4, (48, 36))


def test_identical_keyframes_work_with_a_warning(make, keyframes):
    with pytest.warns(UserWarning, match="no motion to find"):
        clip = make(keyframes[0], keyframes[0])
    assert len(clip) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps as a whole number from 1 to 10000, got 0"),
        ({"width": 50}, "width 50 is not a multiple of 4, as this model needs; take 48 or 52"),
        ({"num_frames": 2}, "trained on clips of 6 frames and does 3 to 12"),
        ({"num_frames": 13}, "does 3 to 12"),
        ({"model": "svd-tx"}, "did you mean svd-xt"),
        ({"model": "./nowhere"}, "no model folder"),
        ({"method": "grf"}, "did you mean 'trf'"),
        ({"method": "vibid", "renoise_steps": 2}, "vibid takes no renoise_steps"),
        ({"fit": "krop"}, "'crop', 'pad' or 'stretch'"),
        ({"seed": -1}, "'seed'"),
        ({"max_guidance_scale": float("nan")}, "'max_guidance_scale': Input should be a finite number, got nan"),
        ({"device": "gpu"}, "expected cuda, cuda:1, mps or cpu"),
        ({"dtype": torch.int8}, "'dtype'"),
        ({"motion": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"decode": "chunked", "decode_chunk_size": 0}, "decode_chunk_size"),
    ],
)
def test_settings_out_of_range_are_refused(make, settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has the device that is to be missed")
def test_a_missing_gpu_is_named(make):
    with pytest.raises(ValueError, match="finds no CUDA device"):
        make(device="cuda")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("absent.png", "no such file"),
        (np.full((8, 8, 3), np.nan, dtype=np.float32), "NaN"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "empty"),
        (None, "expected frame1, or a list of keyframes, got one PosixPath alone"),
    ],
)
def test_frames_that_are_none_are_refused(make, keyframes, frame, message):
    with pytest.raises(ValueError, match=message):
        make(keyframes[0], frame)


def test_one_frame_is_not_enough(keyframes):
    with pytest.raises(TypeError, match="frame1"):
        inbetween(keyframes[0])


def test_an_overlarge_run_is_announced(make, caplog):
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        clip = make(vram_gb=1e-6)
    assert any("expect it to run out of memory" in line for line in caplog.messages)
    assert clip.manifest["memory"]["split_guidance"] is True
    assert clip.manifest["memory"]["offload"] == "none"  # of a CPU to itself


def test_half_precision_on_a_cpu_is_warned_of(tiny_folder, caplog):
    configs = open_source(Settings(model=str(tiny_folder)), Own()).configs
    resolve_run(Settings(dtype="float32"), configs, has_motion=False)
    assert "float16" not in caplog.text
    resolve_run(Settings(dtype="float16", device="cpu"), configs, has_motion=False)
    assert "float16 takes this CPU many times as long" in caplog.text


@pytest.mark.parametrize("instructions", [True, False])
def test_bfloat16_is_warned_of_where_the_processor_lacks_it(tiny_folder, caplog, monkeypatch, instructions):
    monkeypatch.setattr("gen_inbetween.generation.resolve.multiplies_bfloat16", lambda: instructions)
    configs = open_source(Settings(model=str(tiny_folder)), Own()).configs
    resolve_run(Settings(dtype="bfloat16", device="cpu"), configs, has_motion=False)
    assert ("bfloat16 takes this CPU many times as long" in caplog.text) is not instructions


def test_a_manifest_is_json_and_complete(make, tmp_path, tiny_folder):
    path = make(decode="preview").save(tmp_path / "clip.gif")
    made = json.loads(path_beside(path).read_text())
    decided = ("method", "width", "num_frames", "fusion", "dtype", "device")
    assert None not in [made["settings"][name] for name in decided]
    assert made["settings"]["model"] == str(tiny_folder)
    assert made["approximations"][0] == "decode=preview"
    assert MemoryOptions(**made["memory"]).decode == "preview"
    assert made["versions"]["torch"] == installed_version("torch")
    assert made["seconds"] > 0
    assert made["peak_memory"]["gb"] > 0
    assert made["motion"] is None


def test_a_keyword_that_is_no_setting_is_a_type_error(make):
    with pytest.raises(TypeError, match="takes no 'vram'; did you mean 'vram_gb'"):
        make(vram=3)


def test_a_pipeline_of_ones_own_is_used_as_it_is(make, tiny_pipe, tmp_path):
    pipe = tiny_pipe(motion="full")
    clip = make(model="auto", pipeline=pipe, num_inference_steps=2, renoise_steps=1)
    assert clip.manifest["settings"]["method"] == "gi" and clip.manifest["model"]["sha256"] is None
    assert clip.manifest["memory"]["offload"] is None
    assert (clip.manifest["settings"]["model"], clip.manifest["settings"]["motion"]) == (None, None)
    clip.save(tmp_path / "clip.gif")
    with pytest.raises(ManifestError, match="made with a pipeline that was given"):
        replay(tmp_path / "clip.gif.inbetween.json")
    again = replay(tmp_path / "clip.gif.inbetween.json", pipeline=pipe, progress=False)
    assert again.manifest["replay"]["latents_equal"]
    with pytest.raises(ValueError, match="motion belongs to opening a model"):
        make(model="auto", pipeline=pipe, motion=None)
    with pytest.raises(ValueError, match="got method interpolate"):
        inbetween(*clip[:2], pipeline=pipe, method="interpolate")


def test_a_generator_takes_the_place_of_the_seed(make, tmp_path):
    clip = make(generator=torch.Generator().manual_seed(4))
    assert clip.manifest["latents_sha256"] == make(seed=4).manifest["latents_sha256"]
    clip.save(tmp_path / "clip.gif")
    with pytest.raises(ManifestError, match="drawn by a generator"):
        replay(tmp_path / "clip.gif.inbetween.json")


def test_the_callback_sees_every_step_and_may_change_the_latents(make):
    steps = []

    def empty(pipe, step, timestep, tensors):
        steps.append(step)
        return {"latents": torch.zeros_like(tensors["latents"])}

    clip = make(method="svd", callback_on_step_end=empty, num_inference_steps=3)
    assert steps == [0, 1, 2]
    assert clip.manifest["latents_sha256"] == tensor_sha256(torch.zeros(1, 6, 4, 16, 16))


def test_what_a_caller_did_to_the_motion_is_in_the_manifest(make, tiny_pipe, tmp_path):
    """The scale, a motion that came without a file, and a kept pipeline that somebody changed."""
    pipe = tiny_pipe(motion="full")
    pipe.motion_scale = 0.5
    clip = make(model="auto", pipeline=pipe)
    assert clip.manifest["motion"]["scale"] == 0.5 and len(clip.manifest["motion"]["sha256"]) == 64
    clip.save(tmp_path / "clip.gif")
    pipe.motion_scale = 1
    with pytest.raises(ManifestError, match="scale of the motion was 0.5 and is 1"):
        replay(tmp_path / "clip.gif.inbetween.json", pipeline=pipe, progress=False)
    folder = tmp_path / "model"
    pipe.save_pretrained(folder)
    wanted = make(model=folder).manifest
    open_pipeline(str(folder), dtype=torch.float32).motion_scale = 0
    assert make(model=folder).manifest["latents_sha256"] == wanted["latents_sha256"]
    open_pipeline(str(folder), dtype=torch.float32).unload_motion()
    assert make(model=folder).manifest["latents_sha256"] == wanted["latents_sha256"]


def test_a_callback_and_an_interruption_are_in_the_manifest_and_are_not_replayed(make, tmp_path):
    def stop(pipe, step, timestep, tensors):
        pipe.interrupt = True
        return tensors

    clip = make(callback_on_step_end=stop, num_inference_steps=3)
    assert clip.manifest["callback"] and clip.manifest["interrupted"]
    assert "interrupted" not in make(num_inference_steps=3).manifest
    clip.save(tmp_path / "clip.gif")
    with pytest.raises(ManifestError, match="callback of the caller's own"):
        replay(tmp_path / "clip.gif.inbetween.json")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"pipeline": "pocket-2"}, "an InbetweenPipeline, got str"),
        ({"generator": 5}, "one torch.Generator for one clip, got int"),
        ({"generator": [torch.Generator(), torch.Generator()]}, "one torch.Generator for one clip, got list"),
    ],
)
def test_what_a_caller_brings_along_is_looked_at_first(make, own, message):
    with pytest.raises(ValueError, match=message):
        make(**({"model": "auto"} | own))


def test_every_part_of_a_manifest_is_known():
    with pytest.raises(TypeError, match="no part of a manifest: levers"):
        record(levers={})


@pytest.fixture
def saved(make, keyframes, tiny_folder, tmp_path):
    """A clip saved beside copies of its keyframes and its model, which a test may spoil."""
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    frames = [shutil.copy(path, tmp_path) for path in keyframes]
    clip = make(*frames, model=model, seed=4, fit="pad", fps=11)
    clip.save(tmp_path / "clip.gif")
    return clip, tmp_path


def test_replay_makes_the_same_clip(saved):
    clip, folder = saved
    again = replay(folder / "clip.gif.inbetween.json", progress=False)
    assert again.manifest["replay"] == {"of": str(folder / "clip.gif.inbetween.json"), "latents_equal": True}
    assert np.array_equal(pixels(again), pixels(clip))
    assert again.fps == 11
    assert again.manifest["settings"] == clip.manifest["settings"]


def test_replay_tells_when_the_latents_differ(saved):
    _, folder = saved
    made = json.loads((folder / "clip.gif.inbetween.json").read_text())
    made["settings"]["seed"] = 5
    (folder / "clip.gif.inbetween.json").write_text(json.dumps(made))
    assert replay(folder / "clip.gif.inbetween.json", progress=False).manifest["replay"]["latents_equal"] is False


def test_replay_uses_the_memory_options_of_the_first_run(saved):
    _, folder = saved
    made = json.loads((folder / "clip.gif.inbetween.json").read_text())
    made["memory"] |= {"split_guidance": True, "decode": "all", "forward_chunking": 2}
    (folder / "clip.gif.inbetween.json").write_text(json.dumps(made))
    assert replay(folder / "clip.gif.inbetween.json", progress=False).manifest["memory"] == made["memory"]


def test_replay_refuses_other_inputs(saved, keyframes):
    _, folder = saved
    first = folder / "first.png"
    first.rename(folder / "moved.png")
    with pytest.raises(ManifestError, match="frame0 is no longer at"):
        replay(folder / "clip.gif.inbetween.json")
    again = replay(folder / "clip.gif.inbetween.json", frame0=folder / "moved.png", progress=False)
    assert again.manifest["replay"]["latents_equal"]
    shutil.copy(keyframes[1], first)
    with pytest.raises(ManifestError, match="frame0 has changed"):
        replay(folder / "clip.gif.inbetween.json")


@pytest.mark.parametrize("name", ["frame7", "frame02", "framework", "mask"])
def test_replay_refuses_a_manifest_with_other_frames_than_keyframes_in_a_row(name, saved):
    path = saved[1] / "clip.gif.inbetween.json"
    made = json.loads(path.read_text())
    made["frames"][name] = made["frames"]["frame1"]
    path.write_text(json.dumps(made))
    with pytest.raises(ManifestError, match=f"expected frame0, frame1 and so on.*{name}"):
        replay(path, progress=False)


def test_replay_takes_the_keyframes_in_their_order_and_names_a_later_version_first(saved, caplog):
    path = saved[1] / "clip.gif.inbetween.json"
    made = json.loads(path.read_text())
    made["frames"] = dict(reversed(made["frames"].items()))  # as programs write it that sort names
    path.write_text(json.dumps(made))
    assert replay(path, progress=False).manifest["replay"]["latents_equal"]
    made["settings"]["of_a_later_version"] = 1
    made["versions"]["gen_inbetween"] = "99.0"
    path.write_text(json.dumps(made))
    with caplog.at_level("WARNING"), pytest.raises(ValueError, match="unknown key 'of_a_later_version'"):
        replay(path, progress=False)
    assert "made with another version: gen_inbetween 99.0 -> " in caplog.text


def test_replay_refuses_other_weights(saved):
    _, folder = saved
    config = folder / "model" / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("700.0", "500.0"))
    with pytest.raises(ManifestError, match="the model has changed"):
        replay(folder / "clip.gif.inbetween.json", progress=False)


def test_replay_asks_for_frames_that_were_no_files(make, keyframes, tmp_path):
    images = [Image.open(path).convert("RGB") for path in keyframes]
    make(*images).save(tmp_path / "clip.gif")
    with pytest.raises(ManifestError, match="frame0 was given in memory"):
        replay(tmp_path / "clip.gif.inbetween.json")
    again = replay(tmp_path / "clip.gif.inbetween.json", frame0=images[0], frame1=images[1], progress=False)
    assert again.manifest["replay"]["latents_equal"]


def test_replay_warns_of_other_versions(saved, caplog):
    _, folder = saved
    made = json.loads((folder / "clip.gif.inbetween.json").read_text())
    made["versions"]["torch"] = "1.0"
    (folder / "clip.gif.inbetween.json").write_text(json.dumps(made))
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        replay(folder / "clip.gif.inbetween.json", progress=False)
    assert f"made with another version: torch 1.0 -> {installed_version('torch')}" in caplog.messages


def test_only_what_departs_from_the_method_is_an_approximation():
    gi = METHODS["gi"]
    published = gi.resolve(SamplerOptions(preset="published"))
    assert approximations(gi, published, MemoryOptions(decode="streamed")) == []
    assert approximations(gi, gi.resolve(), MemoryOptions(decode="chunked")) == [
        "decode=chunked",
        "num_inference_steps=10 (published: 50)",
        "renoise_steps=1 (published: 5)",
    ]


def test_a_manifest_of_before_the_presets_keeps_the_published_values():
    assert settings_of_manifest({"settings": {"num_inference_steps": 50}})["preset"] == "published"
    assert settings_of_manifest({"settings": {"num_inference_steps": 50, "preset": None}})["preset"] is None
    assert "preset" not in settings_of_manifest({"settings": {"method": "interpolate", "num_inference_steps": None}})
    of_before = {"num_inference_steps": 17, "preset": None, "method": "gi"}  # when Karras' levels were all there were
    assert settings_of_manifest({"settings": of_before})["noise_schedule"] == "karras"
    assert settings_of_manifest({"settings": of_before | {"noise_schedule": "ays"}})["noise_schedule"] == "ays"


def test_the_recorded_hash_is_of_the_latents(make, tiny_folder, keyframes):
    from gen_inbetween.models.loading import open_pipeline

    clip = make(method="svd")
    pipe = open_pipeline(tiny_folder)
    fitted = fit_pair(*(Image.open(path).convert("RGB") for path in keyframes), 32, 32)[:2]
    generator = torch.Generator().manual_seed(0)
    output = pipe(*fitted, method="svd", num_inference_steps=1, generator=generator, output_type="latent")
    assert clip.manifest["latents_sha256"] == tensor_sha256(output.latents)


def test_no_bar_is_shown_where_none_is_wanted(make, tiny_pipe, tmp_path, capfd):
    tiny_pipe().save_pretrained(tmp_path / "model")  # not opened before
    capfd.readouterr()
    make(model=tmp_path / "model", progress=False)
    assert "%|" not in capfd.readouterr().err


@pytest.mark.parametrize("method", ["gi", "trf", "vibid"])
def test_a_motion_bucket_that_is_found_makes_the_clip_of_its_number(make, motion_file, tmp_path, method, caplog):
    with caplog.at_level(logging.WARNING, logger="gen_inbetween"):
        clip = make(motion_bucket_id="auto", motion=str(motion_file), method=method, seed=4)
    found, settings = clip.manifest["motion_bucket"], clip.manifest["settings"]
    assert found["bucket"] == settings["motion_bucket_id"] and f"motion bucket {found['bucket']}" in caplog.text
    assert found["unet_passes"] == 36 and clip.manifest["unet_passes"] == METHODS[method].unet_passes(
        SamplerOptions(num_inference_steps=1)
    )
    told = make(motion_bucket_id=found["bucket"], motion=str(motion_file), method=method, seed=4)
    assert told.manifest["latents_sha256"] == clip.manifest["latents_sha256"] and "motion_bucket" not in told.manifest
    clip.save(tmp_path / "clip.gif")
    again = replay(tmp_path / "clip.gif", progress=False)
    assert again.manifest["replay"]["latents_equal"] and again.manifest["motion_bucket"] == found


def test_a_motion_bucket_is_found_once_for_several_seeds(make):
    clip = make(motion_bucket_id="auto", method="vibid", best_of=2)
    (other,) = clip.others
    assert clip.manifest["motion_bucket"] == other.manifest["motion_bucket"]
    assert {each.manifest["settings"]["motion_bucket_id"] for each in (clip, other)} == {
        clip.manifest["motion_bucket"]["bucket"]
    }


def test_a_motion_bucket_that_cannot_be_found_or_is_none_is_refused(make):
    with pytest.raises(ValueError, match="motion_bucket_id auto: method svd makes one motion alone"):
        make(motion_bucket_id="auto", method="svd")
    for value in ("automatic", 256, 1.5, True):
        with pytest.raises(ConfigError, match="expected a whole number from 0 to 255, or auto"):
            make(motion_bucket_id=value)
