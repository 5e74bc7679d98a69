"""Every published layout is recognised by its tensors."""

from __future__ import annotations

import math

import pytest
import torch
from interpolation_cases import hollow, published, slomo_checkpoint

from gen_inbetween.interpolation import InterpolatorError, load_interpolator
from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4
from gen_inbetween.interpolation.weights.detect import detect_network, on_meta

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
    "4.13-4.19, 4.24": ((192, 128, 96, 64), 23, 28, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.14.lite": ((192, 128, 96, 64), 23, 28, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.15.lite-4.17.lite": ((128, 96, 64, 48), 15, 20, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.20": ((384, 192, 96, 48), 23, 28, ("block0.lastconv.0.weight", 24), "encode.cnn0.weight"),
    "4.21-4.23": ((256, 192, 96, 48), 23, 36, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.22.lite": ((192, 128, 64, 32), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.25-4.26": ((192, 128, 96, 64, 32), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.25.lite": ((192, 128, 96, 64, 24), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.25.heavy": ((384, 256, 192, 128, 64), 15, 28, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
    "4.26.heavy": ((192, 128, 96, 64, 32), 39, 52, ("block0.lastconv.0.weight", 52), "encode.cnn0.weight"),
}


HD_V2 = {  # layers of a block
    "conv0.0.0.weight": (96, 6, 3, 3),
    "conv0.1.0.weight": (192, 96, 3, 3),
    "convblock.0.0.weight": (192, 192, 3, 3),
    "conv1.weight": (192, 4, 4, 4),
}
MULTIPLES = {"4.0-4.1": 64, "4.25-4.26": 64, "4.25.lite": 128, "4.25.heavy": 64, "4.26.heavy": 64}  # the others: 32


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


@pytest.mark.parametrize(
    "names",
    [
        {f"block{n}.{layer}": shape for n in range(4) for layer, shape in HD_V2.items()},
        {f"block{n}.{layer}": shape for n in range(3) for layer, shape in HD_V2.items()},
    ],
)
def test_rife_of_before_the_paper_is_refused_in_our_words(names, tmp_path):
    """RIFE HDv2 and 3.x have blocks of the same names without the layers of either family."""
    torch.save({name: torch.zeros(shape) for name, shape in names.items()}, tmp_path / "flownet.pkl")
    with pytest.raises(InterpolatorError, match="HDv2 or 3.x"):
        load_interpolator(tmp_path / "flownet.pkl")
