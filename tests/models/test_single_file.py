"""Single-file checkpoints: a tiny Stable Video Diffusion under its published names, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cases import picture
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file, save_file
from single_file_cases import TINY, drawn_parts, published

from gen_inbetween.generation.replay import replay
from gen_inbetween.models.configs import SVD_IMAGE_ENCODER, SVD_UNET, SVD_VAE, open_configs
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.loading import close_pipelines, open_pipeline
from gen_inbetween.models.original_names import PREFIXES, Origin
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.models.single_file import num_frames_of, read_single_file, unet_config, vae_config, vision_config
from gen_inbetween.models.single_file_weights import build_part, origins
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.hub import ModelError


@pytest.fixture(scope="module")
def parts() -> dict[str, torch.nn.Module]:
    return drawn_parts()


@pytest.fixture(scope="module")
def checkpoint(parts, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("checkpoints") / "svd_xt.safetensors"
    save_file(published(parts), file)
    return file


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    close_pipelines()


def test_the_configuration_is_read_off_the_shapes(checkpoint):
    assert read_single_file(checkpoint) == TINY
    configs = open_configs(checkpoint)
    assert (configs.width, configs.height, configs.num_frames) == (1024, 576, 25)
    assert json.loads(configs.unet) == TINY["unet"]


@torch.no_grad()
def test_every_tensor_and_every_sum_is_that_of_the_model_it_was_made_from(checkpoint, parts):
    pipe = open_pipeline(checkpoint, dtype=torch.float32, device="cpu")
    for name, part in parts.items():
        opened = getattr(pipe, name).state_dict()
        assert opened.keys() == part.state_dict().keys()
        assert all(torch.equal(opened[key], value) for key, value in part.state_dict().items()), name
    frames, pixels = torch.randn(1, 3, 8, 16, 16), torch.randn(3, 3, 32, 32)
    told = {"timestep": torch.tensor(1.0), "encoder_hidden_states": torch.randn(1, 1, 32)}
    told |= {"added_time_ids": torch.tensor([[6.0, 127.0, 0.02]])}
    latents, picture = torch.randn(3, 4, 16, 16), torch.randn(1, 3, 224, 224)
    sums = [
        (opened["unet"](frames, **told).sample, opened["vae"].encode(pixels).latent_dist.mean)
        + (opened["vae"].decode(latents, 3).sample, opened["image_encoder"](picture).image_embeds)
        for opened in (parts, pipe.components)
    ]
    torch.testing.assert_close(sums[0], sums[1], rtol=1e-5, atol=1e-6)  # other places in memory, another order of sums


def test_an_encoder_whose_last_layer_was_merged_gets_an_identity(checkpoint, tmp_path):
    tensors = {name: tensor for name, tensor in load_file(checkpoint).items() if "quant_conv" not in name}
    save_file(tensors, tmp_path / "svd_xt.safetensors")
    pipe = open_pipeline(tmp_path / "svd_xt.safetensors", dtype=torch.float32, device="cpu")
    moments = torch.randn(1, 8, 4, 4)
    assert torch.equal(pipe.vae.quant_conv(moments), moments)


ATTENDING = {"up_block_types": ("UpBlockSpatioTemporal", *("CrossAttnUpBlockSpatioTemporal",) * 3)}
FULL: dict[str, tuple[dict, Callable, int]] = {  # configuration, what reads it, how many tensors
    "unet": (SVD_UNET | ATTENDING, lambda shapes: unet_config(shapes, 25), 1428),
    "vae": (SVD_VAE, vae_config, 374),
    "image_encoder": (SVD_IMAGE_ENCODER | {"image_size": 224}, vision_config, 520),
}


def build_full(part: str) -> tuple[torch.nn.Module, dict[str, Origin]]:
    """A part of the full SVD-XT on the meta device, and where its tensors stand in a file."""
    config = {name: list(each) if isinstance(each, tuple) else each for name, each in FULL[part][0].items()}
    model = build_part(part, config)
    return model, origins(part, model, config)


@pytest.mark.parametrize("part", PREFIXES)
def test_the_full_svd_xt_comes_back_from_its_published_shapes(part):
    _, read, count = FULL[part]
    model, places = build_full(part)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in model.state_dict().items():
        how, shape = places[name], tuple(tensor.shape)
        told = {None: shape, "squeeze": (*shape, 1, 1), "transpose": shape[::-1], "third": (3 * shape[0], *shape[1:])}
        before = shapes.setdefault(how.name.removeprefix(PREFIXES[part]), told[how.change])
        assert before == told[how.change] and (how.change == "third" or how.name.count("in_proj") == 0)
    read_back = build_part(part, read(shapes))
    assert {name: tensor.shape for name, tensor in read_back.state_dict().items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items()
    }
    assert len(places) == count


def test_the_names_of_the_full_unet_are_those_that_diffusers_own_conversion_reads():
    """Of the spatial half; diffusers' converter, which knows no time, is shown none of it."""
    ours = {name: how.name for name, how in build_full("unet")[1].items()}
    space = {name: there for name, there in ours.items() if "time_" not in there.replace("time_embed", "")}
    theirs = convert_ldm_unet_checkpoint({there: name for name, there in space.items()}, {"layers_per_block": 2})
    named = {name: name.replace("spatial_res_block.", "") for name in space if not name.startswith("add_embedding")}
    assert {there: name for name, there in theirs.items()} == named


def test_the_names_of_the_full_vae_are_those_that_diffusers_own_conversion_reads():
    ours = build_full("vae")[1]
    space = {name: how for name, how in ours.items() if "time_" not in how.name and "mix_factor" not in how.name}
    tensors = {how.name: Named(name, how.change) for name, how in space.items()}
    theirs = convert_ldm_vae_checkpoint(tensors, dict.fromkeys(("down_block_types", "up_block_types"), range(4)))
    assert {tensor.name: name for name, tensor in theirs.items()} == {
        name: name.replace("spatial_res_block.", "") for name in space
    }


class Named:
    """A tensor that is only its name, which diffusers' converter takes one pixel of."""

    def __init__(self, name: str, change: str | None) -> None:
        self.name, self.shape = name, (1, 1, 1, 1) if change == "squeeze" else (1,)
        self.ndim = len(self.shape)

    def __getitem__(self, index: object) -> Named:
        return self


def test_a_clip_by_the_command_its_manifest_and_its_replay(checkpoint, inbetween, tmp_path, monkeypatch):
    for seed, name in enumerate("ab"):
        picture(seed, (64, 64)).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(checkpoint.parent)
    arguments = ["run", tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "clip.mp4", "--frames", 3]
    arguments += ["--model", checkpoint.name, "--steps", 1, "--set", "renoise_steps=0", "--set", "width=64"]
    status, _, said = inbetween(*arguments, "--set", "height=64")
    assert status == 0, said
    assert "Stability AI Community License" in said
    manifest = manifests.of_clip(tmp_path / "clip.mp4")
    assert manifest["settings"]["model"] == str(checkpoint) and "Stability" in manifest["model"]["license"]
    assert manifest["model"]["sha256"] == file_sha256(checkpoint) == folder_sha256(checkpoint)
    monkeypatch.chdir(tmp_path)
    assert replay(tmp_path / "clip.mp4", progress=False).manifest["replay"]["latents_equal"]


def test_the_trained_length_is_told_by_the_name():
    names = {"svd.safetensors": 14, "svd_xt.safetensors": 25, "svd-xt-1.1.safetensors": 25, "mine.safetensors": 25}
    assert {name: num_frames_of(Path(name)) for name in names} == names
    assert num_frames_of(Path("SVD_fp16.safetensors")) == 14


def holding(*names: str) -> Callable[[Path], None]:
    return lambda path: save_file({name: torch.zeros(1) for name in names}, path)


REFUSED = {
    "ltx.safetensors": (holding("model.diffusion_model.transformer_blocks.0.scale_shift_table"), "a transformer"),
    "sdxl.safetensors": (
        holding("conditioner.embedders.1.model.ln_final.weight", "model.diffusion_model.out.0.weight"),
        "Stable Diffusion XL",
    ),
    "sd15.safetensors": (
        holding("cond_stage_model.transformer.weight", "model.diffusion_model.out.0.weight"), "1 or 2"
    ),
    "unet.safetensors": (holding("down_blocks.0.resnets.0.conv1.weight"), "one part in diffusers' layout"),
    "wan.safetensors": (holding("blocks.0.self_attn.q.weight"), "a transformer"),
    "lora.safetensors": (holding("lora_unet_down_blocks_0.alpha"), "a LoRA"),
    "backward_motion.safetensors": (holding("down_blocks.0.attn1.to_v"), "give it as motion"),
    "old.ckpt": (lambda path: path.write_bytes(b"PK"), "pickle"),
    "empty.safetensors": (lambda path: path.write_bytes(b""), "no whole .safetensors file"),
    "only_unet.safetensors": (holding("model.diffusion_model.input_blocks.1.0.time_stack.x"), "it has no vae"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_one_line(name, tmp_path):
    write, said = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(ModelError, match=said) as error:
        resolve_model(tmp_path / name)
    assert "\n" not in str(error.value) and str(tmp_path / name) in str(error.value)


def test_half_a_file_and_one_that_lacks_a_tensor(checkpoint, tmp_path):
    half = tmp_path / "half.safetensors"
    half.write_bytes(checkpoint.read_bytes()[: checkpoint.stat().st_size // 2])
    with pytest.raises(ModelError, match="no whole .safetensors file"):
        resolve_model(half)
    tensors = load_file(checkpoint)
    del tensors["model.diffusion_model.output_blocks.1.0.time_stack.in_layers.2.weight"]
    save_file(tensors, tmp_path / "lacking.safetensors")
    with pytest.raises(ModelError, match="lacks 1 tensors, model.diffusion_model.output_blocks.1.0.time_stack"):
        open_pipeline(tmp_path / "lacking.safetensors", device="cpu")
    with pytest.raises(ModelError, match="no checkpoint at svd_xt.safetensors"):
        resolve_model("svd_xt.safetensors")
