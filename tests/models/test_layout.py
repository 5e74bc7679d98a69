"""Model folders: known by the contents of their weights and configurations."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from gen_inbetween.models import layout
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.runtime import hashing
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
    monkeypatch.setattr(hashing, "SETTLED", -1.0)  # as if its files had been there for long
    read = []
    digest = layout.file_sha256
    monkeypatch.setattr(layout, "file_sha256", lambda path: read.append(path) or digest(path))
    first = folder_sha256(folder)
    assert len(read) == 2
    assert folder_sha256(folder) == first
    assert len(read) == 2
    changed = folder / "unet" / "weights.safetensors"
    state = changed.stat()
    time.sleep(0.02)
    changed.write_bytes(b"tenu")
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))  # as large and as old as before
    assert folder_sha256(folder) != first
    assert [os.path.basename(os.path.dirname(name)) for name in read[2:]] == ["unet"]


def test_a_kept_hash_is_not_believed_when_asked_again(tmp_path, monkeypatch):
    folder = model_folder(tmp_path)
    monkeypatch.setattr(hashing, "SETTLED", -1.0)
    first = folder_sha256(folder)
    store = tmp_path / "cache" / "gen_inbetween" / "sha256.json"
    store.write_text(json.dumps(dict.fromkeys(json.loads(store.read_text()), "0" * 64)))
    assert folder_sha256(folder) != first == folder_sha256(folder, again=True)
    assert folder_sha256(folder) == first  # and what was kept is mended


@pytest.mark.parametrize("content", ["[1]", "{", "7", "\0"])
def test_a_damaged_store_of_hashes_costs_nothing_else(content, tmp_path):
    folder = model_folder(tmp_path)
    first = folder_sha256(folder)
    (tmp_path / "cache" / "gen_inbetween").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "gen_inbetween" / "sha256.json").write_text(content)
    assert folder_sha256(folder) == first


def test_a_user_without_a_home_can_hash(tmp_path, monkeypatch):
    """A container's user without an entry in the password file has none, and Python cannot tell where it would be."""
    folder = model_folder(tmp_path)
    first = folder_sha256(folder)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert folder_sha256(folder) == first


def homeless():
    raise RuntimeError("Could not determine home directory.")


def test_a_cache_that_cannot_be_kept_costs_nothing_else(tmp_path, monkeypatch):
    folder = model_folder(tmp_path)
    monkeypatch.setattr(hashing, "SETTLED", -1.0)
    first = folder_sha256(folder)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert folder_sha256(folder) == first
    assert json.loads((tmp_path / "cache" / "gen_inbetween" / "sha256.json").read_text())


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="found none"):
        folder_sha256(tmp_path)
