"""The hash in a manifest is that of the weights that made the clip, whatever was done to the files meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest
import torch
from cases import picture
from safetensors.torch import load_file, save_file

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.replay import replay
from gen_inbetween.interpolation import load_interpolator, registry
from gen_inbetween.models import loading
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.loading import close_pipelines, open_pipeline
from gen_inbetween.runtime import hashing
from gen_inbetween.runtime.hashing import ChangedFileError, file_sha256
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.manifest import ManifestError

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(tiny_folder, tmp_path, monkeypatch):
    """A model folder of the test's own, left alone for so long that its hashes are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashing, "SETTLED", -1.0)
    close_pipelines()
    shutil.copytree(tiny_folder, tmp_path / "model")
    for frame in (0, 1):
        picture(frame).save(tmp_path / f"{frame}.png")
    yield tmp_path / "model"
    close_pipelines()


def make(model, **settings):
    frames = [model.parent / f"{frame}.png" for frame in (0, 1)]
    settings = {"method": "svd", "num_inference_steps": 1, "num_frames": 3, "progress": False, **settings}
    return inbetween(*frames, model=model, **settings)


def other_weights(model, *, in_place):
    """Other values of the same size, with the times of the old; by another file, or written into the old one."""
    path = model / WEIGHTS
    state = path.stat()
    spare = path.with_name("spare")
    save_file({name: value * 1.5 for name, value in load_file(path).items()}, spare, {"format": "pt"})
    assert spare.stat().st_size == state.st_size
    time.sleep(0.02)  # a tick of the clock of files
    if in_place:
        path.write_bytes(spare.read_bytes())
        spare.unlink()
    else:
        spare.replace(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("in_place", [True, False])
def test_weights_replaced_under_a_warm_pipeline_are_the_ones_that_are_used_and_named(in_place, model):
    first, again = make(model).manifest, make(model).manifest
    assert (again["model"], again["latents_sha256"]) == (first["model"], first["latents_sha256"])
    other_weights(model, in_place=in_place)
    warm = make(model).manifest
    close_pipelines()
    shutil.rmtree(model.parent / "cache")
    fresh = make(model).manifest
    assert warm["model"] == fresh["model"] != first["model"]
    assert warm["latents_sha256"] == fresh["latents_sha256"] != first["latents_sha256"]


def test_a_motion_written_again_within_a_tick_of_its_time_is_loaded_anew(tiny_pipe, model):
    path = model.parent / "motion.safetensors"
    pipes = [tiny_pipe(motion="full", seed=seed) for seed in (0, 1)]
    save_motion(pipes[0].unet, path, {"base_model": "tiny"})
    os.utime(path, ns=(1, 1))
    first = open_pipeline(model, device="cpu", motion=path)
    save_motion(pipes[1].unet, path, {"base_model": "tiny"})
    os.utime(path, ns=(1, 1))
    second = open_pipeline(model, device="cpu", motion=path)
    assert second.motion.sha256 != first.motion.sha256


def test_weights_renamed_into_place_during_a_run_leave_it_what_it_was(model):
    alone = make(model).manifest

    def replace(pipe, step, timestep, tensors):
        other_weights(model, in_place=False)
        return tensors

    during = make(model, callback_on_step_end=replace).manifest
    assert (during["model"], during["latents_sha256"]) == (alone["model"], alone["latents_sha256"])
    assert make(model).manifest["model"] != alone["model"]


def test_weights_written_into_during_a_run_have_no_hash_and_it_says_so(model):
    def overwrite(pipe, step, timestep, tensors):
        other_weights(model, in_place=True)
        return tensors

    with pytest.raises(ModelError, match="was written into while the model was in use"):
        make(model, callback_on_step_end=overwrite)


def test_weights_replaced_while_they_are_loaded_are_not_bound_to_a_hash(model, monkeypatch):
    def change(folder):
        other_weights(model, in_place=False)
        return folder_sha256(folder)

    monkeypatch.setattr(loading, "folder_sha256", change)
    with pytest.raises(ModelError, match="changed while it was being opened"):
        open_pipeline(model, device="cpu")


@pytest.mark.parametrize("warm", [True, False])
def test_replay_hashes_again_whatever_was_kept(warm, model):
    path = make(model).save(model.parent / "clip.gif")
    manifest = path
    assert replay(manifest, progress=False).manifest["replay"]["latents_equal"]
    first = folder_sha256(model)
    if not warm:
        close_pipelines()
    other_weights(model, in_place=False)
    store = model.parent / "cache" / "gen_inbetween" / "sha256.json"
    folder_sha256(model)
    kept = json.loads(store.read_text())
    old = next(value for key, value in kept.items() if WEIGHTS in key)
    store.write_text(json.dumps({key: old if WEIGHTS in key else value for key, value in kept.items()}))
    assert folder_sha256(model) == first  # as a store says that was written by mistake, or by a clock set back
    with pytest.raises(ManifestError, match="the model has changed since"):
        replay(manifest, progress=False)


def test_the_hash_of_an_interpolator_is_of_what_was_read(tmp_path, monkeypatch):
    path = shutil.copy(registry.TINY_DI, tmp_path / "own.safetensors")
    assert load_interpolator(path, device="cpu").info.sha256 == file_sha256(path)
    read = registry.read_network

    def read_then_write(file, scale):
        network = read(file, scale)
        time.sleep(0.02)
        file.write_bytes(file.read_bytes())
        return network

    monkeypatch.setattr(registry, "read_network", read_then_write)
    with pytest.raises(ChangedFileError, match=r"own.safetensors was changed while it was being read"):
        load_interpolator(path, device="cpu")


def test_a_pipeline_of_ones_own_has_no_hash_that_might_be_wrong(tiny_pipe, model):
    frames = picture(0, (32, 32)), picture(1, (32, 32))
    own = tiny_pipe()
    with torch.no_grad():
        own.unet.conv_in.weight.mul_(2)
    clip = inbetween(*frames, pipeline=own, method="svd", num_inference_steps=1, progress=False)
    assert clip.manifest["model"]["sha256"] is None
