"""A Ray cluster of several nodes on this machine, a batch on it, and kills at random."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from hashlib import sha256

import psutil
from service_cases import png
from store_cases import SETTINGS

QUICK = {  # nodes that are gone are noticed in seconds; workers are not slower than what else runs here
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "20",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def write_pairs(folder, count):
    """A list of pairs that differ in pictures, sizes and lengths."""
    folder.mkdir()
    for n in range(8):
        (folder / f"{n}.png").write_bytes(png(n, (16 + 2 * n, 16)))
    rows = [
        {"frame0": f"{n % 8}.png", "frame1": f"{n % 7}.png", "num_frames": 2 + n % 3, "seed": n, "out": f"{n}.mp4"}
        for n in range(count)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "pairs.jsonl"


def contents(folder):
    """The hash of every clip in a folder, by its name."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mp4")}


@contextmanager
def cluster_of(monkeypatch, nodes, cpus=2):
    """A cluster with a head and `nodes` more that may be killed."""
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    for _ in range(nodes):
        cluster.add_node(num_cpus=cpus)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def start_driver(cluster, pairs, out, *options, log=None):
    said = [f"--set={name}={value}" for name, value in SETTINGS.items() if name != "num_frames"]
    command = [sys.executable, "-m", "gen_inbetween.cli", "batch", pairs, "--out", out, "--engine", "ray"]
    command += ["--address", cluster.address, *said, *options]
    where = subprocess.DEVNULL if log is None else log.open("ab")
    return subprocess.Popen([*map(str, command)], env={**os.environ}, stdout=where, stderr=where)


def kill_an_actor(cluster, chance):
    """SIGKILL to an actor that makes rows; False: there is none now."""
    found = []
    for node in cluster.list_all_nodes():
        for process in node.all_processes.get("raylet", ()):
            with suppress(psutil.NoSuchProcess):
                children = psutil.Process(process.process.pid).children(recursive=True)
                found += [child for child in children if "MapBatches(Worker)" in name_of(child)]
    if not found:
        return False
    chance.choice(found).kill()
    return True


def name_of(process):
    """What a process calls itself; nothing where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def kill_a_node(cluster, chance, cpus=2):
    """SIGKILL to a node with all its actors; another one takes its place."""
    node = chance.choice(sorted(cluster.worker_nodes, key=id))
    for process in node.all_processes.get("raylet", ()):
        for child in psutil.Process(process.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.process.kill()
    cluster.remove_node(node, allow_graceful=False)
    for attempt in range(3):  # on a busy machine a node may not be up in time
        try:
            cluster.add_node(num_cpus=cpus)
            return
        except Exception:
            if attempt == 2:
                raise


def torment(cluster, pairs, out, count, kinds, seed=0, log=None, workers="1..3", seconds=1500):
    """Run a batch to its end while every kind of `kinds` is killed once, evenly over its progress; the last status."""
    chance, deadline = random.Random(seed), time.monotonic() + seconds
    order = chance.sample(kinds, len(kinds))
    driver = start_driver(cluster, pairs, out, "--workers", workers, log=log)
    for number, kind in enumerate(order, 1):
        while len(list(out.glob("*.mp4"))) < count * number / (len(order) + 1):
            assert time.monotonic() < deadline, f"{len(list(out.glob('*.mp4')))} clips before kill {number}"
            assert driver.poll() is None, f"the driver ended with {driver.returncode} before kill {number}"
            time.sleep(0.2)
        if kind == "actor":
            while not kill_an_actor(cluster, chance):
                time.sleep(0.05)
        elif kind == "node":
            kill_a_node(cluster, chance)
        else:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            driver = start_driver(cluster, pairs, out, "--workers", workers, log=log)
        print(f"{time.strftime('%X')} killed: {kind}, {len(list(out.glob('*.mp4')))} clips", flush=True)
    return driver.wait(timeout=max(1, deadline - time.monotonic()))


def numbers(text):
    """(made, already there, failed) of the last line of `inbetween batch`."""
    return tuple(map(int, re.findall(r"(\d+) made, (\d+) already there, (\d+) failed", text)[-1]))
