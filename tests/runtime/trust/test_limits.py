"""Limits of files from strangers: archives that inflate, JSON without end, tensors that are no weights."""

from __future__ import annotations

import json
import time
import tracemalloc
import zipfile

import pytest
import torch

from gen_inbetween.diffusion.motion_files import MotionError, check_motion_file
from gen_inbetween.interpolation import InterpolatorError, load_interpolator
from gen_inbetween.models.configs import open_configs
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.files import read_kept
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.lists import read_rows
from gen_inbetween.runtime.manifest import ManifestError
from gen_inbetween.runtime.trust.limits import (
    LONGEST_JSON,
    UntrustedError,
    check_archive,
    check_weights,
    parse_object,
    programs_are_trusted,
    read_object,
    shorten,
    trusting_programs,
)


def test_an_archive_that_inflates_is_refused_by_its_index(tmp_path):
    bomb, honest = tmp_path / "bomb.pkl", tmp_path / "honest.pkl"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(4_000_000))
    with zipfile.ZipFile(honest, "w") as archive:
        archive.writestr("data", bytes(4_000_000))
    with pytest.raises(UntrustedError, match="would inflate to 4 MB"):
        check_archive(bomb)
    check_archive(honest)
    (tmp_path / "other").write_bytes(b"no archive")
    check_archive(tmp_path / "other")


@pytest.mark.slow
def test_four_megabytes_that_inflate_to_four_gigabytes_are_refused_at_once(tmp_path):
    bomb, zeros = tmp_path / "bomb.pkl", bytes(16_000_000)
    packed = zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED)
    with packed, packed.open("data", "w", force_zip64=True) as data:
        for _ in range(250):
            data.write(zeros)
    assert bomb.stat().st_size < 5_000_000
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(UntrustedError, match="would inflate to 4000 MB"):
        check_archive(bomb)
    assert time.process_time() - begun < 1 and tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("opener", "error"),
    [(load_interpolator, InterpolatorError), (check_motion_file, MotionError), (open_configs, ModelError)],
)
def test_a_header_without_end_is_not_read(tmp_path, opener, error):
    """A million names of tensors that hold nothing: 80 MB that became 1,100, in ten seconds."""
    path = tmp_path / "w.safetensors"
    entries = b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % number for number in range(400_000))
    path.write_bytes(len(entries + b"{}").to_bytes(8, "little") + b"{" + entries + b"}")
    begun = time.process_time()
    with pytest.raises(error):
        opener(str(path))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("opener", "error"),
    [(load_interpolator, InterpolatorError), (check_motion_file, MotionError), (open_configs, ModelError)],
)
def test_a_hole_is_no_header(tmp_path, opener, error):
    """Longer than a machine can map, and nothing in it."""
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        file.truncate(8 * 2**40)
    with pytest.raises(error):
        opener(str(path))


def test_an_archive_whose_parts_overlap_is_refused(tmp_path):
    """Not compressed at all, and yet much more than its size: every entry names the same bytes."""
    path = tmp_path / "overlap.pkl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", bytes(10_000))
        entry = archive.infolist()[0]
        for number in range(50):
            again = zipfile.ZipInfo(f"{number}")
            for name in ("header_offset", "compress_size", "file_size", "CRC"):
                setattr(again, name, getattr(entry, name))
            archive.filelist.append(again)
        archive._didModify = True
    with pytest.raises(UntrustedError, match="would inflate"):
        check_archive(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": ' * 100_000, "is not JSON"),
        ("[1]", "expected a JSON object, got list"),
        ("null", "got NoneType"),
        (b"\xff\xfe\x00", "is not JSON"),
        ('{"a": ' + "9" * 10_000 + "}", "is not JSON"),
        (" " * (LONGEST_JSON + 1), "more than 17 MB of JSON"),
    ],
)
def test_json_that_is_none_is_said_in_one_line(text, message):
    with pytest.raises(UntrustedError, match=message) as error:
        parse_object(text, "model_index.json")
    assert str(error.value).startswith("model_index.json") and len(str(error.value).splitlines()) == 1


def test_a_file_is_not_read_beyond_the_limit(tmp_path):
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(50 * 2**30)  # a hole: takes no room, and would take all of the memory
    with pytest.raises(UntrustedError, match="more than 1 MB of JSON"):
        read_object(path)
    with pytest.raises(ManifestError, match="more than 17 MB"):
        manifests.read(path)
    with pytest.raises(ValueError, match="more than 268 MB"):
        read_rows(path, ["frame0"])
    assert read_kept(path) == {}
    path.write_text(json.dumps({"a": 1}))
    assert read_object(path) == {"a": 1}
    with pytest.raises(UntrustedError, match="cannot be read"):
        read_object(tmp_path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.tensor([1, 2]), "holds int64"),
        (torch.tensor([True]), "holds bool"),
        (torch.tensor([1j]), "holds complex64"),
        (torch.tensor([0.0, torch.nan]), "holds NaN"),
        (torch.tensor([torch.inf]), "holds inf"),
        (torch.tensor([-1e30]), "holds 1e"),
        (torch.tensor([3e4], dtype=torch.float16), "holds 30000"),
        (torch.ones(2, 2).to_sparse(), "sparse_coo"),
        (torch.tensor([torch.nan]).expand(10**6, 10**6), "holds NaN"),  # one number that says it is a million million
    ],
)
def test_tensors_that_are_no_weights_are_named(tensor, message):
    with pytest.raises(UntrustedError, match=message) as error:
        check_weights({"fine": torch.ones(1), "layer.weight": tensor}, "f.safetensors")
    assert "f.safetensors: layer.weight holds" in str(error.value)


def test_a_type_that_torch_cannot_compute_with_is_named():
    if not hasattr(torch, "float4_e2m1fn_x2"):
        pytest.skip("this torch has no such type")
    packed = torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    with pytest.raises(UntrustedError, match="holds float4_e2m1fn_x2"):
        check_weights({"a": packed}, "f")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_pass(dtype):
    check_weights({"a": torch.linspace(-90, 90, 7, dtype=dtype), "none": torch.empty(0, dtype=dtype)}, "f")


def test_trust_is_given_for_a_time(monkeypatch):
    monkeypatch.delenv("GEN_INBETWEEN_TRUST", raising=False)
    assert not programs_are_trusted()
    with trusting_programs():
        with trusting_programs(False):
            assert programs_are_trusted()
        assert programs_are_trusted()
    assert not programs_are_trusted()
    monkeypatch.setenv("GEN_INBETWEEN_TRUST", "1")
    assert programs_are_trusted()


def test_names_from_files_stay_on_one_line():
    assert shorten("a\x00b\r\n\x1b[31mc" + "d" * 500) == "a b [31mc" + "d" * 90 + "..."
