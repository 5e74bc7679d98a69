"""Batches on a real Ray cluster of several nodes: reports, bad rows, and what is killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from threading import Event, Thread
from types import SimpleNamespace

import psutil
import pytest

pytest.importorskip("ray", reason="ray is not installed")
from ray_cases import (
    QUICK,
    Torment,
    cluster_of,
    contents,
    kill_an_actor,
    numbers,
    patiently,
    start_driver,
    write_pairs,
)
from store_cases import SETTINGS

from gen_inbetween.generation.batches.listed import MADE, SKIPPED
from gen_inbetween.generation.batches.on_ray import RayBatch, check_list, keyed, run_on_ray
from gen_inbetween.generation.batches.rows import RowMaker, run_rows
from gen_inbetween.runtime.lists import read_rows
from gen_inbetween.runtime.remote.ray_engine import ATTEMPTS, Cluster, Ledger, Worker, blank, connect, parse_workers

COMMON = {name: value for name, value in SETTINGS.items() if name != "num_frames"}


@pytest.fixture(scope="module")
def cluster():
    with pytest.MonkeyPatch.context() as monkeypatch, cluster_of(monkeypatch, 2) as cluster:
        yield cluster


def make_here(pairs, out):
    """The same list, in this process."""
    rows = read_rows(pairs, ("frame0", "frame1"), ("out",))
    return run_rows(RowMaker(str(pairs), str(out), COMMON), rows)


def test_a_cluster_that_does_not_start_is_one_line(monkeypatch):
    import ray

    def late(**_):
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(ConnectionError, match=r"\(The current node timed out during startup.\): is this machine"):
        connect(Cluster())


def test_a_killed_actor_costs_no_row(tmp_path, monkeypatch):
    """The small form of the next two: a cluster in this process, a list that needs no sorting."""
    import ray

    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    pairs, killed = write_pairs(tmp_path / "in", 48, lengths=1), Event()
    assert not check_list(str(pairs))[2]

    def kill():
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not killed.is_set():
            if len(list((tmp_path / "out").glob("*.mp4"))) >= 3:
                if kill_an_actor(psutil.Process().children(recursive=True), random.Random(0)):
                    killed.set()
            time.sleep(0.02)

    killer = Thread(target=kill, daemon=True)
    killer.start()
    try:
        patiently(lambda: connect(Cluster()))
        summary = run_on_ray(RayBatch(str(pairs), str(tmp_path / "out"), COMMON), Cluster(), RowMaker)
    finally:
        ray.shutdown()
    assert killed.is_set() and len(contents(tmp_path / "out")) == 48
    make_here(pairs, tmp_path / "here")
    assert contents(tmp_path / "out") == contents(tmp_path / "here")
    assert sum(summary.counts.values()) == 48 and summary.counts[MADE] + summary.counts[SKIPPED] == 48


@pytest.mark.slow
def test_a_batch_through_kills_is_that_of_an_unbroken_run(cluster, tmp_path):
    pairs = write_pairs(tmp_path / "in", 150)
    torment = Torment(cluster, pairs, tmp_path / "out", log=tmp_path / "log")
    assert torment.run(150, ["actor", "node", "driver"]) == 0
    make_here(pairs, tmp_path / "here")
    assert contents(tmp_path / "out") == contents(tmp_path / "here")
    made, there, failed = numbers((tmp_path / "log").read_text())
    assert (made + there, failed) == (150, 0)


@pytest.mark.slow
def test_twenty_kills_of_two_thousand_pairs(cluster, tmp_path):
    pairs = write_pairs(tmp_path / "in", 2000)
    kinds = ["actor"] * 9 + ["node"] * 6 + ["driver"] * 5
    torment = Torment(cluster, pairs, tmp_path / "out", log=tmp_path / "log", seconds=3000)
    assert torment.run(2000, kinds) == 0, (tmp_path / "log").read_text()[-2000:]
    make_here(pairs, tmp_path / "here")
    assert contents(tmp_path / "out") == contents(tmp_path / "here")
    assert numbers((tmp_path / "log").read_text())[2] == 0


NOTHING = """
from gen_inbetween.generation.batches.listed import MADE
from gen_inbetween.generation.batches.rows import Report, RowMaker

RowMaker.__call__ = lambda self, number, row: Report("", str(row.get("out")), MADE)
"""
SLEEP = """
import os, time
from gen_inbetween.generation import batch

def sleep(pair, device, overwrite):
    with open(os.environ["TIMES"], "a") as file:
        begun = time.time()
        time.sleep(1)
        file.write(f"{os.getpid()} {begun} {time.time()}\\n")
    return "made"

batch.make_pair = sleep
"""


def stubbed(tmp_path, monkeypatch, code):
    """Every process from now on runs this code first; the file to which it may write."""
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("TIMES", str(tmp_path / "times"))
    return tmp_path / "times"


@pytest.mark.slow
def test_the_driver_holds_as_much_for_a_hundred_times_the_rows(tmp_path, monkeypatch):
    stubbed(tmp_path, monkeypatch, NOTHING)
    most = {}
    with cluster_of(monkeypatch, 1, cpus=4) as cluster:
        for count in (2_000, 200_000):
            pairs = write_pairs(tmp_path / str(count), count)
            log = tmp_path / f"{count}.log"
            begun = time.monotonic()
            driver = start_driver(cluster, pairs, tmp_path / f"out{count}", "--workers", "2", log=log)
            most[count] = peak_memory(driver)
            assert driver.wait() == 0 and numbers(log.read_text()) == (count, 0, 0)
            print(f"{count} rows: driver at most {most[count]} MB, {time.monotonic() - begun:.0f} s", flush=True)
    assert most[200_000] < most[2_000] + 150


@pytest.mark.slow
def test_rows_of_a_second_wait_for_little_else(tmp_path, monkeypatch):
    times, workers = stubbed(tmp_path, monkeypatch, SLEEP), 4
    pairs = write_pairs(tmp_path / "in", 256)
    few = write_pairs(tmp_path / "few", 64)
    said = [f"--set={name}={value}" for name, value in COMMON.items()]
    command = [sys.executable, "-m", "gen_inbetween.cli", "batch", *said]
    lost = {}

    def measure(way, rows, processes):
        assert [process.wait() for process in processes] == [0] * len(processes)
        lost[way] = between_rows(times, rows)
        print(f"{way}: {100 * lost[way]:.1f} % between rows of a second", flush=True)
        times.unlink()

    measure("one process", 64, [subprocess.Popen([*command, str(few), "--out", str(tmp_path / "one")])])
    shards = [["--shard", f"{number}/{workers}"] for number in range(1, workers + 1)]
    out = str(tmp_path / "shards")
    measure("shards", 256, [subprocess.Popen([*command, str(pairs), "--out", out, *shard]) for shard in shards])
    with pytest.MonkeyPatch.context() as other, cluster_of(other, 1, cpus=8) as fresh:
        driver = start_driver(fresh, pairs, tmp_path / "out", "--workers", str(workers), log=tmp_path / "log")
        measure("ray", 256, [driver])
    assert lost["ray"] < lost["one process"] + 0.05


def between_rows(times, rows):
    """What the workers waited between rows, as a part of the rows' own time."""
    spans, worked = {}, 0.0
    for line in times.read_text().splitlines():
        worker, begun, ended = line.split()
        first = spans.get(worker, (float(begun),))[0]
        spans[worker] = first, float(ended)
        worked += float(ended) - float(begun)
    assert len(times.read_text().splitlines()) == rows
    return sum(last - first for first, last in spans.values()) / worked - 1


def peak_memory(process):
    """MB that a process held at most, looked at until it ends."""
    most = 0.0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            most = max(most, psutil.Process(process.pid).memory_info().rss / 1e6)
        time.sleep(0.2)
    return round(most)


POISON = """
import os
from gen_inbetween.generation.batches.rows import RowMaker
make = RowMaker.make

def poisoned(self, number, row):
    if isinstance(row, dict) and row.get("seed") == 7:
        os._exit(9)
    return make(self, number, row)

RowMaker.make = poisoned
"""


@pytest.mark.slow
def test_bad_rows_are_rows_of_the_report_and_poison_is_set_aside(tmp_path, monkeypatch):
    import pyarrow.dataset

    pairs = write_pairs(tmp_path / "in", 20)
    bad = [{"frame0": "gone.png", "frame1": "1.png", "out": "x.mp4"}, {"frame0": "1.png", "out": "y.mp4"}]
    pairs.write_text(pairs.read_text() + "{\n" + "".join(json.dumps(row) + "\n" for row in bad))
    stubbed(tmp_path, monkeypatch, POISON)
    with pytest.MonkeyPatch.context() as other, cluster_of(other, 1) as poisoned:
        driver = start_driver(poisoned, pairs, tmp_path / "out", log=tmp_path / "log")
        assert driver.wait(timeout=1000) == 1
    made, there, failed = numbers((tmp_path / "log").read_text())
    assert (made + there, failed) == (19, 4)  # rows made before the poison are there when it is tried again
    rows = (
        pyarrow.dataset.dataset(next((tmp_path / "out" / "report").iterdir()), format="parquet").to_table().to_pylist()
    )
    states = {row["out"]: (row["state"], row["why"]) for row in rows}
    assert len(rows) == 23 and states["x.mp4"][0] == "failed" and "gone.png" in states["x.mp4"][1]
    assert states["7.mp4"] == ("set aside", f"its worker ended {ATTEMPTS} times while it made this row")
    assert any("not JSON" in why for _, why in states.values())


def test_rows_of_one_size_and_length_have_one_group():
    lines = ['{"seed": 1, "num_frames": 9}', '{"seed": 2, "num_frames": 9}', '{"seed": 3, "num_frames": 5}', "{"]
    columns = keyed({"text": lines}, RayBatch("a.jsonl", "out", {"method": "trf"}))
    assert columns["group"][0] == columns["group"][1] != columns["group"][2]
    assert len(set(columns["key"])) == 4 and "not JSON" in columns["row"][3]


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("a.jsonl", "\n\n", "no pairs in it"),
        ("a.jsonl", '{"out": "x"}\n{"out": "x"}\n', "two rows have the same output"),
        ("a.jsonl", '{"out": "x"}\n{"out": "y.mp4"}\n{"out": "x/a/b.mp4"}\n', "1 of its outputs would be folders"),
        ("a.csv", "a,b\n1,2\n", "expected frame0,frame1"),
        ("a.csv", "frame0;frame1;out\na;b;x\nc;d;x\n", "two rows have the same output"),
        ("a.jsonl", "\udc80", "not text in UTF-8"),
        (
            "a.jsonl",
            '{"frame0": "a", "frame1": "b", "out": "c"}\n{"frame0": "./c"}\n',
            "1 of its outputs would replace",
        ),
        ("a.csv", "frame0,frame1,out\na,b,x/../b\n", "1 of its outputs would replace"),
    ],
)
def test_lists_that_are_refused_before_the_work(tmp_path, name, text, words):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=words):
        check_list(str(tmp_path / name), str(tmp_path))


@pytest.mark.parametrize("lengths, several", [((9, 9), False), ((9, 5), True)])
def test_a_list_is_sorted_where_its_rows_differ_in_length(tmp_path, lengths, several):
    rows = [{"frame0": "a", "frame1": "b", "seed": seed, "num_frames": count} for seed, count in enumerate(lengths)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert check_list(str(tmp_path / "a.jsonl")) == ([], 2, several)


def test_a_csv_has_its_columns(tmp_path):
    (tmp_path / "a.csv").write_text("Frame0,frame1,seed\na.png,b.png,3\n")
    assert check_list(str(tmp_path / "a.csv")) == (["frame0", "frame1", "seed"], 1, False)
    batch = {"Frame0": ["a.png"], "frame1": ["7"], "seed": ["3"]}
    assert json.loads(keyed(batch, RayBatch("a.csv", "out", {}))["row"][0]) == {
        "frame0": "a.png", "frame1": "7", "seed": 3
    }  # fmt: skip


def test_a_ledger_keeps_what_is_in_work():
    ledger = Ledger()
    assert [ledger.begin("a"), ledger.begin("a"), ledger.begin("b")] == [1, 2, 1]
    ledger.end("a")
    assert ledger.begin("a") == 1 and dict(ledger.begun) == {"a": 1, "b": 1}


def test_a_row_during_which_workers_ended_too_often_is_set_aside_and_the_rest_is_made():
    ledger = Ledger()

    class Counting(Worker):  # asks without Ray
        def begin(self, name):
            return ledger.begin(name)

    def make(key, row):
        if key == "b":
            raise KeyboardInterrupt  # stands for the end of a worker's process
        return blank(key, row) | {"state": "made"}

    batch = {"key": list("abc"), "row": ['{"out": "a.mp4"}', '{"out": "b.mp4"}', '"no row"']}
    remote = SimpleNamespace(end=SimpleNamespace(remote=ledger.end))
    for _ in range(ATTEMPTS + 1):  # the first time nobody knows which row it was
        with pytest.raises(KeyboardInterrupt):
            Counting(lambda: make, remote)(batch)
    report = Counting(lambda: make, remote)(batch)
    assert report["state"] == ["made", "set aside", "made"] and report["out"] == ["a.mp4", "b.mp4", ""]
    assert ledger.begun == {}, "nothing is in work"


@pytest.mark.parametrize("text", ["0", "a", "4..2", "2..", "..3", "-1"])
def test_workers_that_are_none(text):
    with pytest.raises(ValueError, match="fewest..most"):
        parse_workers(text)
    assert parse_workers("2..64") == (2, 64) and parse_workers("8") == (8, 8)
