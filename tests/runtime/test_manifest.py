"""Manifests: written whole, read strictly; hashes change with what they stand for and with nothing else."""

from __future__ import annotations

import json
import os

import pytest
import torch
from PIL import Image

from gen_inbetween.runtime import manifest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_written_and_read(tmp_path):
    made = {"format": manifest.FORMAT, "settings": {"seed": 3}, "versions": manifest.versions()}
    path = manifest.write(made, tmp_path / "clip.json")
    assert manifest.read(path) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("{", "not a manifest"),
        ("[]", "found 'list'"),
        ('{"format": 99}', "of format 1, found 99"),
    ],
)
def test_what_is_no_manifest(tmp_path, text, message):
    path = tmp_path / "clip.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(manifest.ManifestError, match=message):
        manifest.read(path)


def test_place_beside_the_clip(tmp_path):
    assert manifest.path_beside(tmp_path / "clip.mp4") == tmp_path / "clip.json"
    assert manifest.path_beside(tmp_path) == tmp_path / "manifest.json"


def test_version_drift_names_old_and_present():
    here = manifest.versions()
    made = {"versions": {**here, "torch": "1.0", "gone": "2.0"}}
    assert manifest.version_drift({"versions": here}) == []
    assert manifest.version_drift(made) == [f"torch 1.0 -> {here['torch']}", "gone 2.0 -> not installed"]


def test_image_hash_is_of_what_is_seen(tmp_path):
    image = Image.new("RGB", (4, 2), (1, 2, 3))
    image.save(tmp_path / "a.png", pnginfo=None, compress_level=9)
    assert manifest.image_sha256(Image.open(tmp_path / "a.png")) == manifest.image_sha256(image)
    turned = Image.new("RGB", (2, 4), (1, 2, 3))  # the same bytes in another shape
    assert manifest.image_sha256(turned) != manifest.image_sha256(image)


def test_tensor_hash_sees_shape_and_value_not_layout():
    x = torch.arange(6.0).reshape(2, 3)
    assert manifest.tensor_sha256(x.T.contiguous().T) == manifest.tensor_sha256(x)
    assert manifest.tensor_sha256(x.reshape(3, 2)) != manifest.tensor_sha256(x)
    assert manifest.tensor_sha256(torch.nextafter(x, x + 1)) != manifest.tensor_sha256(x)


def model_folder(tmp_path):
    for part in ("unet", "vae"):
        (tmp_path / "model" / part).mkdir(parents=True)
        (tmp_path / "model" / part / "weights.safetensors").write_bytes(part.encode())
    return tmp_path / "model"


def test_folder_hash_follows_contents_and_names(tmp_path):
    folder = model_folder(tmp_path)
    first = manifest.folder_sha256(folder)
    assert manifest.folder_sha256(folder.rename(tmp_path / "moved")) == first
    folder = tmp_path / "moved"
    (folder / "README.md").write_text("not part of the model")
    assert manifest.folder_sha256(folder) == first
    (folder / "vae").rename(folder / "vae2")
    assert manifest.folder_sha256(folder) != first


def test_files_are_read_once_and_again_when_changed(tmp_path, monkeypatch):
    folder = model_folder(tmp_path)
    read = []
    digest = manifest.file_sha256
    monkeypatch.setattr(manifest, "file_sha256", lambda path: read.append(path) or digest(path))
    first = manifest.folder_sha256(folder)
    assert len(read) == 2
    assert manifest.folder_sha256(folder) == first
    assert len(read) == 2
    changed = folder / "unet" / "weights.safetensors"
    changed.write_bytes(b"tenu")
    os.utime(changed, ns=(1, 1))
    assert manifest.folder_sha256(folder) != first
    assert [os.path.basename(os.path.dirname(name)) for name in read[2:]] == ["unet"]


def test_a_cache_that_cannot_be_kept_costs_nothing_else(tmp_path, monkeypatch):
    folder = model_folder(tmp_path)
    first = manifest.folder_sha256(folder)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert manifest.folder_sha256(folder) == first
    assert json.loads((tmp_path / "cache" / "gen_inbetween" / "sha256.json").read_text())


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(manifest.ManifestError, match="found none"):
        manifest.folder_sha256(tmp_path)
