"""Batches from and to object stores, by real servers: killed runs, damage, lists and pictures here and there."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time

import pytest

pytest.importorskip("moto", reason="moto is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
from service_cases import png
from store_cases import SETTINGS, command_line, fill, gcs_server, s3_server, started

from gen_inbetween.cli.batch import make_from_stores
from gen_inbetween.generation.batches import rows
from gen_inbetween.generation.batches.rows import RowMaker, run_rows
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.outputs import reserved
from gen_inbetween.runtime.remote.stores import DoneIndex, Store

EITHER = pytest.mark.parametrize("store", ["s3", "gs"], indirect=True)


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as monkeypatch, s3_server(monkeypatch) as address:
        yield address


@pytest.fixture(scope="module")
def gs():
    for package in ("gcsfs", "gcp_storage_emulator"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    with pytest.MonkeyPatch.context() as monkeypatch, gcs_server(monkeypatch) as address:
        yield address


@pytest.fixture
def store(request):
    bucket = request.getfixturevalue(getattr(request, "param", "s3"))
    return Store(f"{bucket}/{request.node.originalname}")


def rows_of(store, folder="in"):
    lines = store.read(f"{folder}/pairs.jsonl").decode().splitlines()
    return [(number, json.loads(line)) for number, line in enumerate(lines, 1)]


def run(store, rows, **options):
    out = f"{store.address}/out"
    maker = RowMaker(f"{store.address}/in/pairs.jsonl", out, SETTINGS, index=DoneIndex(Store(out)).load(), **options)
    summary = run_rows(maker, rows)
    return summary.generated, summary.skipped, len(summary.failures)


@EITHER
def test_a_list_in_a_bucket_becomes_clips_in_it(store, tmp_path):
    names = fill(store, 3)
    assert run(store, rows_of(store)) == (3, 0, 0)
    kept = sorted(name for name in store.names("out") if name[0] != ".")
    assert kept == sorted(names + [f"{name}.inbetween.json" for name in names])
    clip = store.fetch("out/0.mp4", tmp_path / "0.mp4")
    beside = json.loads(store.read("out/0.mp4.inbetween.json"))
    assert manifests.embedded(clip)["frames_sha256"] == beside["frames_sha256"]
    assert run(store, rows_of(store)) == (0, 3, 0)


def test_no_picture_of_a_list_is_replaced_in_its_store(store):
    fill(store, 1)
    rows = [{"frame0": "a.png", "frame1": "b.png", "out": "c.gif"}, {"frame0": "a.png", "frame1": "b.png"}]
    address, before = f"{store.address}/in", store.read("in/a.png")
    for out, name in ((address, "./a.png"), (store.address, "in/b.png")):
        lines = [*rows, {"frame0": "a.png", "frame1": "b.png", "out": name}]
        store.write("".join(json.dumps(row) + "\n" for row in lines).encode(), "in/pairs.jsonl")
        with pytest.raises(ValueError, match="1 of its outputs would replace pictures"):
            make_from_stores(f"{address}/pairs.jsonl", out, SETTINGS, True, (1, 1))
    assert store.read("in/a.png") == before and not store.size("in/c.gif")


@EITHER
def test_without_its_index_a_clip_is_known_by_its_manifest(store):
    fill(store, 2)
    run(store, rows_of(store))
    store.fs.rm(store.path("out/.inbetween-index"), recursive=True)
    store.remove("out/1.mp4.inbetween.json")  # killed between the clip and its manifest
    assert run(store, rows_of(store)) == (0, 2, 0)
    store.fs.rm(store.path("out/.inbetween-index"), recursive=True)
    fill(store, 2, num_frames=4)
    assert run(store, rows_of(store)) == (2, 0, 0)


@EITHER
def test_a_clip_that_is_gone_or_not_as_it_was_written_is_made_again(store, monkeypatch):
    names = fill(store, 3)
    run(store, rows_of(store))
    whole = {name: store.read(f"out/{name}") for name in names}
    damaged = bytearray(whole["1.mp4"])
    damaged[len(damaged) // 2] ^= 255
    store.write(bytes(damaged), "out/1.mp4")
    store.remove("out/2.mp4")
    assert run(store, rows_of(store)) == (2, 1, 0)
    assert {name: store.read(f"out/{name}") for name in names} == whole
    store.write(bytes(damaged), "out/1.mp4")
    store.fs.rm(store.path("out/.inbetween-index"), recursive=True)
    assert run(store, rows_of(store)) == (1, 2, 0)
    asked = []
    info = Store.info
    monkeypatch.setattr(Store, "info", lambda self, name: asked.append(name) or info(self, name))
    monkeypatch.setattr(Store, "fetch", lambda *arguments: 1 / 0)
    assert run(store, rows_of(store)) == (0, 3, 0)
    assert asked == names, "one request for each that is done"


def test_a_clip_that_another_run_writes_now_is_waited_for(store, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "PAUSE", 0.2)
    (tmp_path / "a.png").write_bytes(png(1))
    row, out = {"frame0": "a.png", "frame1": "a.png", "out": "c.mp4"}, tmp_path / "out"
    with reserved(out / "c.mp4"):
        said = []
        maker = RowMaker(str(tmp_path / "pairs.jsonl"), str(out), SETTINGS)
        waiting = threading.Thread(target=lambda: said.append(maker(1, row).state))
        waiting.start()
        time.sleep(0.1)
        assert said == []
    waiting.join()
    assert said == ["made"]


@EITHER
def test_what_others_put_there_stays(store):
    fill(store, 1)
    store.write(b"a film of somebody", "out/0.mp4")
    assert run(store, rows_of(store)) == (0, 0, 1)
    assert store.read("out/0.mp4") == b"a film of somebody"
    assert run(store, rows_of(store), overwrite=True) == (1, 0, 0)


def test_bad_rows_are_named_and_the_rest_goes_on(store):
    fill(store, 1)
    rows = rows_of(store)
    bad = [
        {"frame0": "gone.png", "frame1": "b.png", "out": "x.mp4"},
        {"frame0": "a.png", "frame1": "b.png", "out": "../x.mp4"},
        {"frame0": "a.png", "frame1": "b.png", "out": "folder"},
        {"frame0": "a.png", "frame1": "b.png", "out": "y.mp4", "sede": 1},
        {"frame0": "ftp://host/a.png", "frame1": "b.png", "out": "z.mp4"},
        {"frame0": "a.png", "frame1": "b.png", "out": "0.mp4"},
        "not JSON",
    ]
    assert run(store, rows + list(enumerate(bad, 2))) == (1, 0, len(bad))


def test_pictures_here_clips_there_and_the_other_way_round(store, tmp_path):
    fill(store, 1)
    (tmp_path / "a.png").write_bytes(png(1))
    row = {"frame0": "a.png", "frame1": f"{store.address}/in/b.png", "out": "c.mp4"}
    listed = str(tmp_path / "pairs.jsonl")
    assert RowMaker(listed, f"{store.address}/out", SETTINGS)(1, row).state == "made"
    assert RowMaker(listed, str(tmp_path / "out"), SETTINGS)(1, row).state == "made"
    assert RowMaker(listed, str(tmp_path / "out"), SETTINGS)(1, row).state == "skipped"
    beside = json.loads((tmp_path / "out" / "c.mp4.inbetween.json").read_text())
    there = json.loads(store.read("out/c.mp4.inbetween.json"))
    assert there["frames_sha256"] == beside["frames_sha256"]


def test_a_command_that_is_killed_goes_on_where_it_was(store):
    names = fill(store, 12)
    arguments = f"{store.address}/in/pairs.jsonl", "--out", f"{store.address}/out"
    process = started(*arguments, stdout=subprocess.DEVNULL)
    while not store.size("out/4.mp4"):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    ended = subprocess.run(command_line(*arguments), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    made, skipped = re.match(r"(\d+) made, (\d+) already there", ended.stdout.splitlines()[-1]).groups()
    assert int(made) + int(skipped) == 12 and int(skipped) >= 4
    assert all(store.size(name) for name in (f"out/{name}" for name in names))
