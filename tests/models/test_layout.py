"""Model folders: known by the contents of their weights and configurations."""

from __future__ import annotations

import json
import os

import pytest

from gen_inbetween.models import layout
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.runtime.hub import ModelError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def model_folder(tmp_path):
    for part in ("unet", "vae"):
        (tmp_path / "model" / part).mkdir(parents=True)
        (tmp_path / "model" / part / "weights.safetensors").write_bytes(part.encode())
    return tmp_path / "model"


def test_folder_hash_follows_contents_and_names(tmp_path):
    folder = model_folder(tmp_path)
    first = folder_sha256(folder)
    assert folder_sha256(folder.rename(tmp_path / "moved")) == first
    folder = tmp_path / "moved"
    (folder / "README.md").write_text("not part of the model")
    assert folder_sha256(folder) == first
    (folder / "vae").rename(folder / "vae2")
    assert folder_sha256(folder) != first


def test_files_are_read_once_and_again_when_changed(tmp_path, monkeypatch):
    folder = model_folder(tmp_path)
    read = []
    digest = layout.file_sha256
    monkeypatch.setattr(layout, "file_sha256", lambda path: read.append(path) or digest(path))
    first = folder_sha256(folder)
    assert len(read) == 2
    assert folder_sha256(folder) == first
    assert len(read) == 2
    changed = folder / "unet" / "weights.safetensors"
    changed.write_bytes(b"tenu")
    os.utime(changed, ns=(1, 1))
    assert folder_sha256(folder) != first
    assert [os.path.basename(os.path.dirname(name)) for name in read[2:]] == ["unet"]


def test_a_cache_that_cannot_be_kept_costs_nothing_else(tmp_path, monkeypatch):
    folder = model_folder(tmp_path)
    first = folder_sha256(folder)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert folder_sha256(folder) == first
    assert json.loads((tmp_path / "cache" / "gen_inbetween" / "sha256.json").read_text())


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="found none"):
        folder_sha256(tmp_path)
