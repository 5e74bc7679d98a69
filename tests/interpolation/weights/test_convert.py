"""Conversion to safetensors."""

from __future__ import annotations

import json

import pytest
import torch
from interpolation_cases import published
from safetensors import safe_open
from safetensors.torch import save_file

from gen_inbetween.interpolation import InterpolatorError, convert_interpolator, load_interpolator
from gen_inbetween.interpolation.weights.files import HEADER


def test_converted_weights_are_the_same_and_say_what_they_are(tmp_path):
    state = published(1)
    state["module.block0.lastconv.bias"] = torch.arange(5.0)
    torch.save({"model": state, "epoch": 1}, tmp_path / "flownet.pkl")
    info = convert_interpolator(tmp_path / "flownet.pkl", tmp_path / "out" / "d-rife.safetensors", kind="index")
    opened = load_interpolator(tmp_path / "out" / "d-rife.safetensors")
    assert opened.info == info and info.kind == "index" and info.name == "d-rife.safetensors"
    assert torch.equal(opened.network.block0.lastconv.bias, torch.arange(5.0))
    record = json.loads((tmp_path / "out" / "d-rife.safetensors.inbetween.json").read_text())
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
