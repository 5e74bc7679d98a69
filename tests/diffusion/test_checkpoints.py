"""Backward motion as files: every format gives the same update, and every file that does not fit says why."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNetSpatioTemporalConditionModel
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.testing import assert_close

from gen_inbetween.diffusion.checkpoints import convert, export_unet, load_motion, save_motion
from gen_inbetween.diffusion.motion import has_backward_motion, motion_state_dict, rotates, temporal_self_attentions
from gen_inbetween.diffusion.motion_files import MissingMotionError, MotionError
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.hashing import state_sha256
from gen_inbetween.runtime.manifest import installed_version

RECORD = {"base_model": "tiny", "steps": 3, "data": {"clips": "synthetic"}}
FULL = {"num_frames": 6, "rank": None, "alpha": None, "rotate": True}
UNET_FILE = "unet/diffusion_pytorch_model.safetensors"
Build = Callable[..., UNetSpatioTemporalConditionModel]


def write_motion(path: Path, state: dict[str, Tensor]) -> None:
    """A whole file of a difference, whatever the tensors are."""
    header = RECORD | FULL | {"format_version": 2, "sha256": state_sha256(state)}
    save_file(state, path, metadata={"backward_motion": json.dumps(header)})


@pytest.fixture(scope="session")
def build(tiny_pipe: Callable) -> Build:
    return lambda *args, **options: tiny_pipe(*args, **options).unet


@pytest.fixture(autouse=True)
def nothing_else_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("GEN_INBETWEEN_MODELS", raising=False)


@pytest.fixture(scope="session")
def base_folder(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "svd14"
    build().save_pretrained(folder / "unet")
    return folder


@pytest.fixture(scope="session")
def delta(build: Build) -> dict[str, Tensor]:
    """A difference on every tuned tensor, biases too, as the published checkpoint has it."""
    generator = torch.Generator().manual_seed(1)
    shapes = {}
    for path, attention in temporal_self_attentions(build()).items():
        shapes[f"{path}.to_v.weight"] = attention.to_v.weight.shape
        shapes[f"{path}.to_out.0.weight"] = attention.to_out[0].weight.shape
        shapes[f"{path}.to_out.0.bias"] = attention.to_out[0].bias.shape
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def published(build: Build, delta: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authors' layout: a folder with a whole tuned UNet."""
    return publish(build(), delta, tmp_path_factory.mktemp("published"))


def publish(unet: UNetSpatioTemporalConditionModel, delta: dict[str, Tensor], folder: Path) -> Path:
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            weight += delta.get(name, 0)
    unet.save_pretrained(folder / "unet")
    return folder


def close(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-7) -> None:
    assert actual.keys() == expected.keys()
    for name in expected:
        assert_close(
            actual[name].float(), expected[name].float(), atol=tolerance, rtol=0, msg=lambda m, n=name: f"{n} {m}"
        )


def predict(unet: torch.nn.Module) -> Tensor:
    """One stock pass over fixed inputs: (1, 6, 4, 8, 8)."""
    generator = torch.Generator().manual_seed(5)
    sample, context = torch.randn(1, 6, 8, 8, 8, generator=generator), torch.randn(1, 1, 32, generator=generator)
    with torch.no_grad():
        return unet(sample, torch.tensor(0.3), context, added_time_ids=torch.tensor([[6.0, 127.0, 0.02]])).sample


# Our own file


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_our_file_comes_back_exactly(build: Build, tmp_path: Path, kind: str) -> None:
    unet, other = build(motion=kind), build(seed=7)
    saved = save_motion(unet, tmp_path / "deep" / "motion.safetensors", RECORD, dtype=torch.float32)
    info = load_motion(other, tmp_path / "deep" / "motion.safetensors")
    close(motion_state_dict(other), motion_state_dict(unet), 0)
    assert info == saved
    assert (info.format, info.base_model, info.num_frames) == ("difference", "tiny", 6)
    assert (info.rank, info.alpha) == ((4, 8) if kind == "lora" else (None, None))
    update = next(iter(temporal_self_attentions(other).values())).processor.update_v
    assert kind == "full" or update.scale == 2


def test_our_file_is_half_precision_and_says_everything(build: Build, tmp_path: Path) -> None:
    save_motion(build(motion="full"), tmp_path / "motion.safetensors", RECORD)
    with safe_open(tmp_path / "motion.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["backward_motion"])
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}
    assert RECORD.items() <= header.items()
    assert header["format_version"] == 2 and header["rotate"] is True and header["num_frames"] == 6
    assert header["versions"]["torch"] == installed_version("torch") and re.fullmatch("[0-9a-f]{64}", header["sha256"])


@pytest.mark.parametrize("projections", ["vo", "qkvo"])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_motion_without_rotation_says_so(build: Build, tmp_path: Path, kind: str, projections: str) -> None:
    unet, other = build(motion=kind, rotate=False, projections=projections), build(seed=7)
    saved = save_motion(unet, tmp_path / "motion.safetensors", RECORD, dtype=torch.float32)
    converted = convert(tmp_path / "motion.safetensors", tmp_path / "again.safetensors", dtype=torch.float32)
    info = load_motion(other, tmp_path / "again.safetensors")
    close(motion_state_dict(other), motion_state_dict(unet), 0)
    assert not rotates(other) and not info.rotate and " without rotation" in str(info)
    assert saved.sha256 == converted.sha256 == info.sha256
    with pytest.raises(MotionError, match="published layout cannot say so"):
        export_unet(other, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_a_file_of_the_first_format_rotates(build: Build, tmp_path: Path) -> None:
    unet, path = build(motion="full"), tmp_path / "motion.safetensors"
    save_motion(unet, path, RECORD, dtype=torch.float32)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["backward_motion"]) | {"format_version": 1}
    del header["rotate"]
    save_file(load_file(path), path, metadata={"backward_motion": json.dumps(header)})
    info = load_motion(other := build(seed=7), path)
    close(motion_state_dict(other), motion_state_dict(unet), 0)
    assert info.rotate and rotates(other)


def test_queries_and_keys_under_a_rotated_map_are_refused(build: Build, tmp_path: Path) -> None:
    state = motion_state_dict(build(motion="full", rotate=False, projections="qkvo"))
    write_motion(tmp_path / "motion.safetensors", state)
    with pytest.raises(MotionError, match=r"to_[qk].weight; expected to_v and to_out.0 of"):
        load_motion(build(), tmp_path / "motion.safetensors")


def test_the_hash_is_of_the_tensors_not_of_the_file(build: Build, tmp_path: Path) -> None:
    unet = build(motion="full")
    first = save_motion(unet, tmp_path / "a.safetensors", RECORD)
    again = save_motion(unet, tmp_path / "b.safetensors", {"base_model": "tiny", "note": "same weights"})
    other = save_motion(build(seed=3, motion="full"), tmp_path / "c.safetensors", RECORD)
    assert first.sha256 == again.sha256 != other.sha256


def test_a_failed_write_leaves_the_old_file(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unet, path = build(motion="full"), tmp_path / "motion.safetensors"
    save_motion(unet, path, RECORD)
    before = path.read_bytes()

    def full_disk(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str]) -> None:
        Path(file).write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        save_motion(unet, path, RECORD)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_save_refuses_what_it_cannot_record(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "motion.safetensors"
    with pytest.raises(MotionError, match="no backward motion to save"):
        save_motion(build(), path, RECORD)
    with pytest.raises(MotionError, match="base_model"):
        save_motion(build(motion="full"), path, {})
    unet = build(motion="full")
    next(iter(temporal_self_attentions(unet).values())).processor.update_v.weight.data[0, 0] = 1e6
    with pytest.raises(MotionError, match="not finite in torch.float16"):
        save_motion(unet, path, RECORD)
    assert not path.exists()
    save_motion(unet, path, RECORD, dtype=torch.float32)


# The authors' whole tuned UNet


def test_published_unet_minus_base(build: Build, published: Path, base_folder: Path, delta: dict[str, Tensor]) -> None:
    unet = build(seed=9, num_frames=25)  # SVD-XT: other weights, more frames
    info = load_motion(unet, published, base=base_folder)
    close(motion_state_dict(unet), delta)
    assert (info.format, info.base_model, info.num_frames, info.rank) == ("tuned unet", "svd14", 6, None)


def test_published_layouts(build: Build, delta: dict[str, Tensor], base_folder: Path, tmp_path: Path) -> None:
    root, variant = tmp_path / "root", tmp_path / "variant"
    publish(build(), delta, tmp_path / "plain")
    (tmp_path / "plain" / "unet").rename(root)
    (variant / "unet").mkdir(parents=True)
    (root / "config.json").rename(variant / "unet" / "config.json")
    tuned = load_file(root / "diffusion_pytorch_model.safetensors")
    half = {name: tensor.half() for name, tensor in tuned.items()}
    save_file(half, variant / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    for source, tolerance in ((root, 1e-7), (root / "diffusion_pytorch_model.safetensors", 1e-7), (variant, 1e-3)):
        unet = build()
        load_motion(unet, source, base=base_folder)
        close(motion_state_dict(unet), delta, tolerance)


def test_a_half_precision_base_is_matched(build: Build, base_folder: Path, tmp_path: Path) -> None:
    """Tuned from the rounded base: only the layer that moved differs, rounding does not leak into the others."""
    tuned = {name: tensor.half() for name, tensor in load_file(base_folder / UNET_FILE).items()}
    moved = next(name for name in tuned if name.endswith("temporal_transformer_blocks.0.attn1.to_v.weight"))
    tuned[moved] += 0.25
    save_file(tuned, tmp_path / "diffusion_pytorch_model.fp16.safetensors")
    unet = build()
    load_motion(unet, tmp_path, base=base_folder)
    state = motion_state_dict(unet)
    assert [name for name, tensor in state.items() if tensor.any()] == [moved]
    assert not any(name.endswith("bias") for name in state)  # none of them moved, so there is none to keep


def test_the_base_is_found_in_the_models_folder_or_the_hub_cache(
    build: Build, published: Path, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MotionError, match=r"base is not on this machine.*hf download stabilityai/stable-video"):
        load_motion(build(), published)
    cache = tmp_path / "hub" / "models--stabilityai--stable-video-diffusion-img2vid"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc")
    (cache / "snapshots").mkdir()
    (cache / "snapshots" / "abc").symlink_to(base_folder, target_is_directory=True)
    info = load_motion(build(), published)
    assert info.base_model == "stabilityai/stable-video-diffusion-img2vid"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "svd").symlink_to(base_folder, target_is_directory=True)
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path / "models"))
    assert load_motion(build(), published) == info


def test_a_wrong_base_is_noticed(build: Build, published: Path, base_folder: Path, tmp_path: Path) -> None:
    build(seed=1).save_pretrained(tmp_path / "other" / "unet")
    with pytest.raises(MotionError, match="wrong base.*frozen .*to_q.weight"):
        load_motion(build(), published, base=tmp_path / "other")
    build(num_frames=25).save_pretrained(tmp_path / "xt" / "unet")
    with pytest.raises(MotionError, match="tuned at 6 frames, .*xt makes 25"):
        load_motion(build(), published, base=tmp_path / "xt")
    with pytest.raises(MotionError, match="equals .* not tuned"):
        load_motion(build(), base_folder, base=base_folder)
    state = load_file(base_folder / UNET_FILE)
    dropped = next(name for name in state if name.endswith("attn1.to_out.0.bias") and "temporal" in name)
    save_file({name: tensor for name, tensor in state.items() if name != dropped}, tmp_path / "part.safetensors")
    (tmp_path / "part").mkdir()
    (tmp_path / "part.safetensors").rename(tmp_path / "part" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(MotionError, match=f"lacks {re.escape(dropped)}"):
        load_motion(build(), published, base=tmp_path / "part")


def test_convert_builds_no_unet(
    build: Build, published: Path, base_folder: Path, delta: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = build()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a UNet was built")

    monkeypatch.setattr(UNetSpatioTemporalConditionModel, "__init__", refuse)
    written = convert(published, tmp_path, base=base_folder)  # a folder: the file gets its usual name in it
    info = load_motion(unet, tmp_path / "backward_motion.safetensors")
    close(motion_state_dict(unet), {name: tensor.half() for name, tensor in delta.items()}, 1e-4)
    assert info == written and info.metadata["converted_from"] == "tuned unet"
    assert str(info).startswith("full difference, from svd14, 6 frames, sha256 ")


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_an_exported_unet_gives_the_difference_back(build: Build, base_folder: Path, tmp_path: Path, kind: str) -> None:
    unet, again = build(motion=kind), build()
    assert export_unet(unet, tmp_path) == tmp_path / "unet"
    load_motion(again, tmp_path, base=base_folder)
    expected = motion_state_dict(unet)
    if kind == "lora":
        factors, layers = expected, {name.partition(".lora_")[0] for name in expected}
        expected = {
            f"{layer}.weight": 2 * factors[f"{layer}.lora_B.weight"] @ factors[f"{layer}.lora_A.weight"]
            for layer in layers
        }
    close(motion_state_dict(again), expected, 1e-6)
    with pytest.raises(MotionError, match="no backward motion to export"):
        export_unet(build(), tmp_path)


def test_an_exported_unet_keeps_half_precision_where_it_is_not_tuned(build: Build, tmp_path: Path) -> None:
    folder = export_unet(build(motion="full", dtype=torch.float16), tmp_path)
    dtypes = {name: tensor.dtype for name, tensor in load_file(folder / "diffusion_pytorch_model.safetensors").items()}
    assert sum(dtype == torch.float32 for dtype in dtypes.values()) == 8  # to_v and to_out.0 of four layers
    assert dtypes.keys() == build().state_dict().keys()


# LoRA


def peft_unet(build: Build, **options: object) -> torch.nn.Module:
    """The UNet as PEFT adapts it, with random factors."""
    unet = build()
    names = [f"{path}.{name}" for path in temporal_self_attentions(unet) for name in ("to_v", "to_out.0")]
    settings = {"r": 4, "lora_alpha": 12, "target_modules": names, **options}
    adapted = inject_adapter_in_model(LoraConfig(**settings), unet)
    torch.manual_seed(2)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return adapted


def lora_tensors(adapted: torch.nn.Module) -> dict[str, Tensor]:
    state = {name.replace(".default", ""): w.detach() for name, w in adapted.named_parameters() if "lora_" in name}
    return {name: tensor.contiguous() for name, tensor in state.items()}


def write_peft(folder: Path, tensors: dict[str, Tensor], **config: object) -> Path:
    folder.mkdir()
    save_file({f"base_model.model.{name}": t for name, t in tensors.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 12, **config}))
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"alpha_pattern": {"to_out.0": 2}, "rank_pattern": {r"mid_block.*\.to_v": 2}},
    ],
    ids=["plain", "rslora", "patterns"],
)
def test_lora_equals_peft(build: Build, base_folder: Path, tmp_path: Path, options: dict) -> None:
    adapted = peft_unet(build, **options)
    unet = build()
    info = load_motion(unet, write_peft(tmp_path / "lora", lora_tensors(adapted), **options))
    tuned = UNetSpatioTemporalConditionModel.from_pretrained(export_unet(unet, tmp_path / "tuned"))
    assert_close(predict(tuned), predict(adapted), atol=1e-5, rtol=0)
    assert (predict(adapted) - predict(build())).abs().max() > 1e-2  # the adapter does something at all
    assert info.format == "lora" and info.rank == 4
    expected_alpha = 12 * math.sqrt(4) if options.get("use_rslora") else 12
    assert "alpha_pattern" in options or info.alpha == expected_alpha


def test_lora_as_peft_itself_saves_it(build: Build, tmp_path: Path) -> None:
    unet = build()
    names = [f"{path}.{name}" for path in temporal_self_attentions(unet) for name in ("to_v", "to_out.0")]
    model = get_peft_model(unet, LoraConfig(r=2, lora_alpha=6, target_modules=names, init_lora_weights=False))
    model.save_pretrained(tmp_path)
    info = load_motion(loaded := build(), tmp_path)
    expected = {name.removeprefix("base_model.model."): tensor for name, tensor in lora_tensors(model).items()}
    close(motion_state_dict(loaded), expected, 0)
    assert (info.rank, info.alpha) == (2, 6)


@pytest.mark.parametrize("naming", ["header", "alpha keys", "down and up"])
def test_lora_in_diffusers_names(build: Build, tmp_path: Path, naming: str) -> None:
    expected = lora_tensors(peft_unet(build))
    tensors = {f"unet.{name}": tensor for name, tensor in expected.items()}
    if naming == "down and up":
        tensors = {
            name.replace("lora_A", "lora.down").replace("lora_B", "lora.up"): tensor for name, tensor in tensors.items()
        }
    header = {"lora_adapter_metadata": json.dumps({"unet.r": 4, "unet.lora_alpha": 12})}
    if naming != "header":
        header = {}
        layers = {name.partition(".lora")[0] for name in tensors}
        tensors |= {f"{layer}.alpha": torch.tensor(12.0) for layer in layers}
    save_file(tensors, tmp_path / "pytorch_lora_weights.safetensors", metadata=header)
    info = load_motion(unet := build(), tmp_path)
    close(motion_state_dict(unet), expected, 0)
    assert (info.rank, info.alpha) == (4, 12)


def test_lora_converts_to_our_file(build: Build, tmp_path: Path) -> None:
    expected = lora_tensors(peft_unet(build))
    folder = write_peft(tmp_path / "lora", expected, base_model_name_or_path="tiny")
    convert(folder, tmp_path / "motion.safetensors", dtype=torch.float32)
    info = load_motion(unet := build(), tmp_path / "motion.safetensors")
    close(motion_state_dict(unet), expected, 0)
    assert (info.format, info.base_model, info.rank, info.alpha) == ("difference", "tiny", 4, 12)


def test_lora_that_cannot_be_trusted_is_refused(build: Build, tmp_path: Path) -> None:
    tensors = lora_tensors(peft_unet(build))
    first = next(iter(tensors))
    unet = build()

    def refused(name: str, changed: dict[str, Tensor], match: str, **config: object) -> None:
        with pytest.raises(MotionError, match=match):
            load_motion(unet, write_peft(tmp_path / name, changed, **config))

    refused("no_alpha", tensors, "does not say its alpha", lora_alpha=None)
    refused("dora", tensors, "DoRA", use_dora=True)
    refused("magnitude", tensors | {"x.lora_magnitude_vector": torch.ones(2)}, "not a plain LoRA tensor")
    refused("half", {name: t for name, t in tensors.items() if name != first}, "only one of lora_A and lora_B")
    refused("rank", tensors, "says rank 8", r=8)
    refused("ragged", tensors | {first: torch.ones(3, 32)}, "do not share a rank", r=3)
    spatial = {name.replace("temporal_transformer_blocks", "transformer_blocks"): t + 0 for name, t in tensors.items()}
    refused("spatial", tensors | spatial, "expected to_v and to_out.0 of the temporal attn1 layers only")
    layer = first.partition(".lora")[0]
    refused("missing", {name: t for name, t in tensors.items() if not name.startswith(layer)}, "does not fit this UNet")
    assert not has_backward_motion(unet)


# Files that do not fit


def test_what_is_no_safetensors_file_says_what_it_is(build: Build, published: Path, tmp_path: Path) -> None:
    path, whole = tmp_path / "motion.safetensors", (published / UNET_FILE).read_bytes()
    contents = {
        b"": "it is empty",
        b"<!DOCTYPE html><html>": "web page",
        b"PK\x03\x04 zip": "archive or a pickle",
        b"version https://git-lfs.github.com/spec/v1\noid": "git lfs pull",
        b"text, whatever its name says": "truncated or of another format",
        whole[:1000]: "truncated",
        whole[:-1000]: "truncated",
    }
    for content, said in contents.items():
        path.write_bytes(content)
        with pytest.raises(MotionError, match=f"not a whole safetensors file: .*{said}"):
            load_motion(build(), path)


def test_what_holds_no_motion_says_so(
    build: Build, delta: dict[str, Tensor], base_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(MotionError, match="no motion file or folder at"):
        load_motion(build(), tmp_path / "nowhere")
    with pytest.raises(MotionError, match="holds no backward motion: expected one of backward_motion.safetensors"):
        load_motion(build(), tmp_path)
    save_file(delta, tmp_path / "backward_motion.safetensors")  # weights or differences? Only the header could say
    with pytest.raises(MotionError, match="with its header"):
        load_motion(build(), tmp_path)
    save_file({"conv_in.weight": torch.ones(1)}, tmp_path / "image_unet.safetensors")
    with pytest.raises(MotionError, match="holds no temporal attn1 layers"):
        load_motion(build(), tmp_path / "image_unet.safetensors", base=base_folder)


def test_a_motion_of_another_model_is_refused_and_changes_nothing(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "motion.safetensors"
    unet, made = build(motion="full"), build(seed=4, motion="full")
    before = {name: tensor.clone() for name, tensor in motion_state_dict(unet).items()}
    state = motion_state_dict(made)
    first = next(iter(state))
    changes = {
        "missing": {name: tensor for name, tensor in state.items() if name != first},
        "extra": state | {"mid_block.attentions.9.temporal_transformer_blocks.0.attn1.to_v.weight": torch.ones(2, 2)},
        "shape": state | {first: torch.ones(3, 3)},
    }
    for changed in changes.values():
        write_motion(path, changed)
        with pytest.raises(MotionError, match="does not fit this UNet"):
            load_motion(unet, path)
        close(motion_state_dict(unet), before, 0)


def test_a_damaged_or_later_file_is_refused(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "motion.safetensors"
    save_motion(build(motion="full"), path, RECORD)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(MotionError, match="damaged"):
        load_motion(build(), path)
    save_file({"x": torch.ones(1)}, path, metadata={"backward_motion": json.dumps({"format_version": 3})})
    with pytest.raises(MotionError, match="format version 3; this release reads 2"):
        load_motion(build(), path)


def test_without_motion_the_error_says_where_to_get_one() -> None:
    message = str(MissingMotionError("svd-xt"))
    for part in ("svd-xt", "jeanne-wang/svd_keyframe_interpolation", "Google Drive", "inbetween convert"):
        assert part in message
    assert "train/finetune_backward.py" in message and "trf and vibid" in message
    assert issubclass(MissingMotionError, MotionError) and issubclass(MotionError, ValueError)
