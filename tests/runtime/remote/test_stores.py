"""Object stores: addresses, whole objects, and the index of what is done."""

from __future__ import annotations

import numpy as np
import pytest

from gen_inbetween.runtime.remote.stores import EVERY, DoneIndex, Store, StoreError, key_of, local_or_address


@pytest.fixture
def store(request):
    store = Store(f"memory://{request.node.name}")
    yield store
    store.fs.rm("/", recursive=True)


def test_objects_are_written_read_and_deleted(store, tmp_path):
    (tmp_path / "a").write_bytes(b"clip")
    store.publish(tmp_path / "a", "deep/a.mp4")
    assert store.size("deep/a.mp4") == 4 and store.read("deep/a.mp4") == b"clip"
    assert store.fetch("deep/a.mp4", tmp_path / "b").read_bytes() == b"clip"
    store.remove("deep/a.mp4")
    store.remove("deep/a.mp4")
    assert store.size("deep/a.mp4") is None
    with pytest.raises(StoreError, match=r"cannot read memory://.*deep/a.mp4: there is no such object"):
        store.read("deep/a.mp4")


@pytest.mark.parametrize(
    "address, words",
    [
        ("ftp://host/x", "expected a path, or an address of s3, gs, memory or file"),
        ("s3://key:secret@bucket/x", "no credentials in an address"),
        ("s3://", "expected s3://bucket/folder"),
    ],
)
def test_addresses_that_are_none(address, words):
    with pytest.raises(StoreError, match=words) as error:
        Store(address)
    assert "secret" not in str(error.value)


def test_a_file_is_a_path_by_either_name(tmp_path):
    assert local_or_address(f"file://{tmp_path}/a") == (tmp_path / "a", None)
    assert local_or_address(str(tmp_path)) == (tmp_path, None)
    assert local_or_address("s3://b/a") == (None, "s3://b/a")


def test_an_index_is_one_object_after_the_next_start(store):
    keys = [key_of(str(n)) for n in range(2 * EVERY + 1)]
    index = DoneIndex(store, (1, 2)).load()
    for key in keys:
        index.add(key)
    assert len(store.names(index.folder)) == 2  # the last one was not written down yet
    index.flush()
    again = DoneIndex(store, (1, 2)).load()
    assert all(key in again for key in keys) and key_of("x") not in again
    assert len(store.names(index.folder)) == 1
    assert key_of("0") not in DoneIndex(store, (2, 2)).load()


def test_an_index_that_was_killed_while_it_was_compacted_is_whole(store, monkeypatch):
    for n in range(3):
        index = DoneIndex(store)
        index.add(key_of(str(n)))
        index.flush()
    monkeypatch.setattr(Store, "remove", lambda *names: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        DoneIndex(store).load()
    monkeypatch.undo()
    assert np.array_equal(DoneIndex(store).load().keys, np.unique([key_of(str(n)) for n in range(3)]))
    assert len(store.names(index.folder)) == 1
