"""Names, folders and hub ids become pipelines, or one sentence says what to do; nothing here reaches the network."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from safetensors.torch import load_file

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.diffusion.motion import has_backward_motion, motion_state_dict
from gen_inbetween.diffusion.motion_files import MotionError
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.models import loading
from gen_inbetween.models import registry as models
from gen_inbetween.models.loading import close_pipelines, fetch_weights, open_pipeline
from gen_inbetween.models.registry import MODELS, resolve_model
from gen_inbetween.runtime import hub
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.messages import warn_once

RECORD = {"base_model": "tiny", "steps": 0, "data": "none"}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without models, GPU or network, on which nothing was said yet."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("GEN_INBETWEEN_MODELS", raising=False)
    warn_once.cache_clear()
    for module in (models, loading):
        monkeypatch.setattr(module, "default_device", lambda: torch.device("cpu"))
    yield
    close_pipelines()


@pytest.fixture
def pocket(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny random model in the place of the bundled one."""
    monkeypatch.setitem(MODELS, "pocket-2", replace(MODELS["pocket-2"], source=str(tiny_folder)))
    return tiny_folder


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that GEN_INBETWEEN_MODELS names."""
    (tmp_path / "shelf").mkdir()
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def motion_file(tiny_pipe: Callable, tmp_path: Path) -> Path:
    save_motion(tiny_pipe(motion="full").unet, tmp_path / "motion.safetensors", RECORD)
    return tmp_path / "motion.safetensors"


def in_hub_cache(folder: Path, hub_id: str, cache: Path) -> Path:
    """`folder` where huggingface_hub keeps the repository `hub_id`."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    copytree(folder, repository / "snapshots" / "abc")
    return repository / "snapshots" / "abc"


def hub_error(kind: type[HfHubHTTPError]) -> HfHubHTTPError:
    """As the hub raises it; its constructor wants an HTTP response, of another class in each release."""
    error = kind.__new__(kind)
    Exception.__init__(error, "403 Client Error")
    return error


# Names


def test_the_named_models_are_those_published() -> None:
    assert {name: (spec.height, spec.width, spec.num_frames) for name, spec in MODELS.items()} == {
        "svd-xt": (576, 1024, 25),
        "svd": (576, 1024, 14),
        "svd-xt-1.1": (576, 1024, 25),
        "pocket-2": (64, 64, 14),
    }
    assert MODELS["svd-xt"].source == "stabilityai/stable-video-diffusion-img2vid-xt"
    assert resolve_model("svd-xt") == resolve_model(MODELS["svd-xt"].source) == MODELS["svd-xt"]
    assert (MODELS["pocket-2"].license, MODELS["pocket-2"].license_notice) == ("Apache-2.0", None)


def test_the_bundled_model_is_what_its_name_says() -> None:
    spec = MODELS["pocket-2"]
    found = resolve_model(spec.source)
    assert (found.height, found.width, found.num_frames) == (spec.height, spec.width, spec.num_frames)
    pipe = open_pipeline("pocket-2", motion=None)
    assert not has_backward_motion(pipe.unet)
    assert pipe.vae.config.latent_channels == pipe.unet.config.out_channels == 32


def test_the_first_bundled_model_is_gone_and_what_took_its_place_is_said() -> None:
    with pytest.raises(ModelError, match="model pocket is no longer part of this package: take pocket-2"):
        resolve_model("pocket")


def test_a_missing_bundled_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "pocket-2", replace(MODELS["pocket-2"], source=str(tmp_path)))
    with pytest.raises(ModelError, match="bundled model is not in this installation"):
        resolve_model("auto")


@pytest.mark.parametrize(("typed", "meant"), [("svd_xt", "svd-xt"), ("poket", "pocket-2"), ("SVD", "svd")])
def test_an_unknown_name_gets_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(
        ModelError, match=rf"unknown model '{typed}' \(did you mean {meant}\?\).*auto, svd-xt, svd, svd-xt"
    ):
        resolve_model(typed)


def test_half_a_model_on_the_shelf_is_named_as_it_is_passed_over(
    tiny_folder: Path, shelf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copytree(tiny_folder, shelf / "svd")
    for file in (shelf / "svd" / "unet").glob("*.safetensors"):
        file.unlink()
    with caplog.at_level(logging.WARNING, "gen_inbetween"):
        assert resolve_model("svd").source == MODELS["svd"].source
    assert f"{shelf / 'svd'} is passed over: it is not a whole model, it lacks unet/*.safetensors" in caplog.text


def test_a_name_stays_that_model_beside_a_folder_of_that_name(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "svd-xt").symlink_to(tiny_folder, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_model("svd-xt") == MODELS["svd-xt"]
    assert resolve_model("./svd-xt").source == str(tiny_folder.resolve())


# auto


def test_auto_without_gpu_or_weights_is_pocket_and_says_so_in_one_line(
    pocket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "gen_inbetween"):
        first, again = resolve_model("auto"), resolve_model()
    assert first == again and first.name == "pocket-2" and first.source == str(pocket)
    (record,) = caplog.records
    assert "\n" not in record.message and "no GPU and no svd-xt weights" in record.message
    assert "hf download stabilityai/stable-video-diffusion-img2vid-xt" in record.message
    assert "$GEN_INBETWEEN_MODELS/svd-xt" in record.message


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_auto_with_gpu_and_weights_is_svd_xt(
    pocket: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    (shelf / "svd-xt").symlink_to(pocket, target_is_directory=True)
    assert resolve_model().name == "pocket-2"
    assert "auto: no GPU here" in caplog.text
    monkeypatch.setattr(models, "default_device", lambda: torch.device(device))
    assert resolve_model() == replace(MODELS["svd-xt"], source=str(shelf / "svd-xt"), variant=None)
    monkeypatch.delenv("GEN_INBETWEEN_MODELS")
    assert resolve_model().name == "pocket-2"
    assert "auto: no svd-xt weights here" in caplog.text


def test_weights_in_the_hub_cache_count_when_all_are_there(tiny_folder: Path, tmp_path: Path) -> None:
    snapshot = in_hub_cache(tiny_folder, MODELS["svd"].source, tmp_path / "hub")
    assert resolve_model("svd").source == str(snapshot)
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert resolve_model("svd") == MODELS["svd"]  # an interrupted download: from_pretrained will go on with it


# Folders


def test_any_svd_folder_works_with_its_own_size(tiny_folder: Path) -> None:
    spec = resolve_model(tiny_folder)
    assert (spec.height, spec.width, spec.num_frames) == (32, 32, 6)  # sample_size 16, a VAE that halves once
    assert (spec.source, spec.variant, spec.motion) == (str(tiny_folder.resolve()), None, None)


def test_size_of_a_configuration(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(copytree(tiny_folder, tmp_path / "sized"))

    def configure(part: str, **settings: object) -> None:
        path = folder / part / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    configure("vae", block_out_channels=[1, 1, 1, 1])  # halves three times
    for sample_size, size in ((96, (576, 1024)), ([40, 72], (320, 576)), (32, (256, 256))):
        configure("unet", sample_size=sample_size)
        spec = resolve_model(folder)
        assert (spec.height, spec.width) == size


def test_half_precision_files_are_recognised(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(copytree(tiny_folder, tmp_path / "half"))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert resolve_model(folder).variant == "fp16"
    assert open_pipeline(folder).unet.num_parameters() > 0


def test_a_folder_that_is_no_svd_pipeline_says_what_it_is(tiny_folder: Path, motion_file: Path, tmp_path: Path) -> None:
    def said(name: str, files: dict[str, str]) -> str:
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(content)
        with pytest.raises(ModelError) as error:
            resolve_model(tmp_path / name)
        return str(error.value)

    (tmp_path / "empty").mkdir()
    image_pipeline = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    index = (tiny_folder / "model_index.json").read_text()
    assert "it is empty" in said("empty", {})
    assert "it is a StableDiffusionPipeline" in said("sd", {"model_index.json": json.dumps(image_pipeline)})
    assert "single UNetSpatio" in said("part", {"config.json": '{"_class_name": "UNetSpatioTemporalConditionModel"}'})
    assert "single clip_vision_model" in said("clip", {"config.json": '{"model_type": "clip_vision_model"}'})
    assert "give that as motion" in said("tuned", {"unet/config.json": "{}"})
    assert "it holds a.txt, b.txt" in said("texts", {"a.txt": "", "b.txt": ""})
    assert "lacks unet/*.safetensors, vae/*.safetensors" in said("weightless", {"model_index.json": index})
    assert "is not JSON" in said("broken", {"model_index.json": "{"})
    assert "it holds a backward motion; give it as motion" in said("motion.safetensors", {})
    for missing in (tmp_path / "nowhere", "./nowhere", "/no/such/folder", "a/b/c"):
        with pytest.raises(ModelError, match="no model folder at"):
            resolve_model(missing)


def test_truncated_weights_are_said(tiny_folder: Path, tmp_path: Path) -> None:
    for part in ("unet", "image_encoder"):
        folder = Path(copytree(tiny_folder, tmp_path / part))
        (weights,) = (folder / part).glob("*.safetensors")
        weights.write_bytes(weights.read_bytes()[:-500])
        with pytest.raises(ModelError, match=f"cannot load .*{part}.*get it again"):
            open_pipeline(folder)


# The hub


def test_offline_is_one_sentence() -> None:
    for model in ("svd-xt", "somebody/some-svd"):
        with pytest.raises(
            ModelError, match="offline: .*cannot be reached.*local folder.*GEN_INBETWEEN_MODELS"
        ) as error:
            open_pipeline(model)
        assert "\n" not in str(error.value)


class ConnectError(Exception):
    """Named as in httpx, whose errors are no OSErrors."""


ConnectError.__module__ = "httpx"


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (hub_error(GatedRepoError), "gated: accept its licence at https://huggingface.co/a/b .*hf auth login"),
        (hub_error(RepositoryNotFoundError), "the hub has no model 'a/b', or it is private"),
        (hub_error(HfHubHTTPError), "the hub refused a/b: 403 Client Error"),
        (ConnectionError("no route to host"), "offline"),
        (TimeoutError("slow"), "offline"),
        (ConnectError("name resolution"), "offline"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_hub_answers(raised: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise raised

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(ModelError, match=said):
        resolve_model("a/b")


def test_an_error_that_is_not_the_hubs_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), hub.hub_errors("a/b"):
        raise ZeroDivisionError
    with pytest.raises(ModelError, match="neither a folder on this machine nor a hub id"):
        resolve_model("a b/c d")


def test_a_cached_hub_id_needs_no_network(tiny_folder: Path, tmp_path: Path) -> None:
    snapshot = in_hub_cache(tiny_folder, "somebody/some-svd", tmp_path / "hub")
    spec = resolve_model("somebody/some-svd")
    assert (spec.name, spec.source, spec.num_frames) == ("somebody/some-svd", str(snapshot.resolve()), 6)
    assert open_pipeline("somebody/some-svd").unet.config.num_frames == 6


# Opening


def test_a_pipeline_is_loaded_once(tiny_folder: Path) -> None:
    pipe = open_pipeline(tiny_folder)
    assert open_pipeline(str(tiny_folder), device="cpu", dtype=torch.float32) is pipe
    assert open_pipeline(tiny_folder, dtype=torch.float16) is not pipe
    assert type(pipe).__name__ == "InbetweenPipeline" and pipe.unet.dtype == torch.float32


def test_weights_are_fetched_to_this_machine(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="offline"):
        fetch_weights(MODELS["svd"])
    sources = []
    monkeypatch.setattr(InbetweenPipeline, "download", lambda source, variant: sources.append(source) or tiny_folder)
    spec = fetch_weights(MODELS["svd"])
    assert (spec.name, spec.source, sources) == ("svd", str(tiny_folder), [MODELS["svd"].source])
    assert fetch_weights(spec) is spec


def test_opening_warns_of_no_deprecation(tiny_folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert open_pipeline(tiny_folder, dtype=torch.float16).unet.dtype == torch.float16
    assert not [warning for warning in recwarn if "torch_dtype" in str(warning.message)]


def test_the_licence_is_said_once(tiny_folder: Path, shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("svd", "svd-xt"):
        (shelf / name).symlink_to(tiny_folder, target_is_directory=True)
        open_pipeline(name)
    assert [r.name for r in caplog.records if "Stability AI Community License" in r.message] == ["gen_inbetween"]


def test_the_motion_is_the_models_own_or_the_one_given(
    pocket: Path, motion_file: Path, tiny_pipe: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not has_backward_motion(open_pipeline("pocket-2").unet)
    assert has_backward_motion(open_pipeline("pocket-2", motion=motion_file).unet)
    folder = Path(copytree(pocket, tmp_path / "with_motion"))
    (folder / "backward_motion.safetensors").write_bytes(motion_file.read_bytes())
    monkeypatch.setitem(MODELS, "pocket-2", replace(MODELS["pocket-2"], source=str(folder)))
    for model in ("pocket-2", folder):
        pipe = open_pipeline(model)
        assert has_backward_motion(pipe.unet) and pipe.motion.base_model == "tiny"
        assert not has_backward_motion(open_pipeline(model, motion=None).unet)


def test_a_motion_on_the_shelf_goes_with_a_model_in_the_hub_cache(
    tiny_folder: Path, shelf: Path, motion_file: Path, tmp_path: Path
) -> None:
    in_hub_cache(tiny_folder, MODELS["svd-xt"].source, tmp_path / "hub")
    (shelf / "svd-xt").mkdir()
    (shelf / "svd-xt" / "backward_motion.safetensors").write_bytes(motion_file.read_bytes())
    assert resolve_model("svd-xt").motion == str(shelf / "svd-xt" / "backward_motion.safetensors")
    assert has_backward_motion(open_pipeline("svd-xt").unet)


def test_a_motion_trained_anew_is_loaded_anew(tiny_folder: Path, motion_file: Path, tiny_pipe: Callable) -> None:
    pipe = open_pipeline(tiny_folder, motion=motion_file)
    before = motion_file.stat().st_mtime_ns
    save_motion(tiny_pipe(seed=2, motion="full").unet, motion_file, RECORD)
    os.utime(motion_file, ns=(before + 10**9, before + 10**9))
    again = open_pipeline(tiny_folder, motion=motion_file)
    assert again is not pipe
    saved = load_file(motion_file)
    assert all(torch.equal(weight.half(), saved[name]) for name, weight in motion_state_dict(again.unet).items())


def test_a_motion_that_is_not_there_is_an_error(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MotionError, match="no motion file or folder at"):
        open_pipeline(tiny_folder, motion=tmp_path / "nowhere.safetensors")


def test_xformers_is_tried_first_and_our_processors_stand_last(
    tiny_folder: Path, motion_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xformers.ops", None)
    with pytest.raises(RuntimeError, match="does not run on this machine"):
        open_pipeline(tiny_folder, device="cpu", motion=str(motion_file), kernel="xformers")
    order = []
    monkeypatch.setattr("gen_inbetween.diffusion.attention.open_kernel", lambda name: order.append(f"try {name}"))
    monkeypatch.setattr(
        "diffusers.UNetSpatioTemporalConditionModel.enable_xformers_memory_efficient_attention",
        lambda unet: order.append("enable"),
    )
    pipe = open_pipeline(tiny_folder, device="cpu", motion=str(motion_file), kernel="xformers")
    assert order[:3] == ["try xformers", "enable", "try xformers"]
    assert has_backward_motion(pipe.unet)


def test_importing_reaches_no_network_and_loads_no_pipeline() -> None:
    code = (
        "import socket, sys\n"
        "socket.socket.connect = socket.getaddrinfo = None\n"
        "from gen_inbetween.models.registry import MODELS\n"
        "assert len(MODELS) == 4 and 'diffusers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)
