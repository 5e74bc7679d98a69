"""Files of weights: nothing else is opened, nothing is run."""

from __future__ import annotations

import pickle

import pytest
import torch
from interpolation_cases import published

from gen_inbetween.interpolation import InterpolatorError, load_interpolator
from gen_inbetween.interpolation.weights.files import read_weights


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
