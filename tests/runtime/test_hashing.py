"""Hashes change with what they stand for, and with nothing else."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.runtime import hashing
from gen_inbetween.runtime.hashing import (
    ChangedFileError,
    cached_file_sha256,
    file_sha256,
    files_sha256,
    frames_sha256,
    image_sha256,
    images_sha256,
    mask_sha256,
    state_sha256,
    tensor_sha256,
    unchanged,
)


@pytest.mark.parametrize("settled", [-1.0, 1e9])
def test_a_file_changed_is_hashed_anew_with_its_size_and_times_kept(settled, tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "SETTLED", settled)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    first = cached_file_sha256(path)
    assert first == file_sha256(path) == cached_file_sha256(path)
    time.sleep(0.02)  # the system's clock of files ticks every few milliseconds
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    second = cached_file_sha256(path)
    assert second == file_sha256(path) != first
    (tmp_path / "b").write_bytes(b"six")
    os.utime(tmp_path / "b", ns=(1, 1))
    (tmp_path / "b").replace(path)
    assert cached_file_sha256(path) == file_sha256(path) != second


def test_a_hash_is_kept_only_once_the_file_is_left_alone(tmp_path, monkeypatch):
    """Two changes within one tick of the clock look alike, so what has just been written is read again."""
    read = []
    monkeypatch.setattr(hashing, "file_sha256", lambda path: read.append(path) or "hash")
    (tmp_path / "a").write_bytes(b"one")
    for settled, times in ((1e9, 2), (-1.0, 3)):
        monkeypatch.setattr(hashing, "SETTLED", settled)
        assert [cached_file_sha256(tmp_path / "a") for _ in range(2)] == ["hash"] * 2
        assert len(read) == times


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"two"), lambda path: path.unlink()])
def test_a_file_changed_while_it_is_read_is_said(change, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    with unchanged(path):
        pass
    time.sleep(0.02)
    with pytest.raises(ChangedFileError, match="changed while it was being read"), unchanged(path):
        change(path)


def test_files_are_told_by_name_and_content_not_by_folder(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a").write_text("same")
    (tmp_path / "y" / "b").write_text("same")
    assert files_sha256([tmp_path / "x" / "a"]) == files_sha256([tmp_path / "y" / "a"])
    assert files_sha256([tmp_path / "y" / "a"]) != files_sha256([tmp_path / "y" / "b"])


def test_image_hash_is_of_what_is_seen(tmp_path):
    image = Image.new("RGB", (4, 2), (1, 2, 3))
    image.save(tmp_path / "a.png", pnginfo=None, compress_level=9)
    assert image_sha256(Image.open(tmp_path / "a.png")) == image_sha256(image)
    turned = Image.new("RGB", (2, 4), (1, 2, 3))  # the same bytes in another shape
    assert image_sha256(turned) != image_sha256(image)


def test_tensor_hash_sees_shape_and_value_not_layout():
    x = torch.arange(6.0).reshape(2, 3)
    assert tensor_sha256(x.T.contiguous().T) == tensor_sha256(x)
    assert tensor_sha256(x.reshape(3, 2)) != tensor_sha256(x)
    assert tensor_sha256(torch.nextafter(x, x + 1)) != tensor_sha256(x)


def test_a_clip_is_its_frames_in_their_order():
    images = [Image.new("RGB", (4, 2), (value, 0, 0)) for value in (1, 2)]
    assert images_sha256(images) != images_sha256(images[::-1])


def test_frames_are_hashed_in_the_order_of_their_axes():
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    assert frames_sha256(np.asfortranarray(frames)) == frames_sha256(frames) != frames_sha256(frames[::-1])


def test_masks_of_other_shapes_differ():
    assert mask_sha256(np.ones((2, 8), dtype=bool)) != mask_sha256(np.ones((8, 2), dtype=bool))


def test_a_state_is_told_by_names_dtypes_and_values_not_by_order():
    state = {"a": torch.ones(2), "b": torch.zeros(3)}
    assert state_sha256(dict(reversed(state.items()))) == state_sha256(state)
    assert state_sha256({**state, "a": torch.ones(2).half()}) != state_sha256(state)
    assert state_sha256({"a": torch.ones(2), "c": torch.zeros(3)}) != state_sha256(state)
