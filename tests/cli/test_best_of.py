"""`inbetween run` with several seeds and with several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from cases import picture
from PIL import Image

from gen_inbetween.cli.parallel import Process, this_process


@pytest.fixture
def run(inbetween, tiny_folder, tmp_path):
    """`inbetween run` on two small keyframes and the tiny model, one step of trf."""
    for name in "ab":
        picture(ord(name), (32, 32)).save(tmp_path / f"{name}.png")
    line = ["a.png", "b.png", "-o", "clip.png", "--model", tiny_folder, "--method", "trf", "--steps", "1"]
    return lambda *more: inbetween("run", *line, *more)


def test_several_seeds_and_their_sheet(run, tmp_path):
    status, out, err = run("--best-of", "2", "--keep-all", "--seed", "4")
    assert status == 0, err
    assert "clip_seeds.png: 2 seeds by their scores" in out
    record = json.loads(next(tmp_path.glob("clip.png.inbetween.json")).read_text())["best_of"]
    assert [each["seed"] for each in record["candidates"]] == [4, 5]
    assert Image.open(tmp_path / "clip_seeds.png").height > Image.open(tmp_path / "clip.png").height
    status, _, err = run("--best-of", "0")
    assert status == 2 and "best-of" in err


def test_parallel_starts_torch_s_launcher(run, tmp_path, monkeypatch):
    started = []

    class Launcher:
        def __init__(self, command, **options):
            started.append(command)

        def wait(self):
            return 3

    monkeypatch.setattr(subprocess, "Popen", Launcher)
    status, _, _ = run("--parallel", "2", "--seed", "7")
    assert status == 3 and not (tmp_path / "clip.png").exists()
    (command,) = started
    assert command[2:5] == ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert command[5:9] == ["-m", "gen_inbetween.cli", "run", "a.png"]
    assert "--parallel" not in command and command[-2:] == ["--seed", "7"]
    status, _, err = run("--parallel", "0")
    assert status == 2 and "--parallel 0" in err


LAUNCHER = """#!{python}
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.5)  # its processes write nothing more after this
    pathlib.Path("ended").touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
pathlib.Path("up").touch()
time.sleep(60)
"""
COMMAND = """
import signal, sys
from gen_inbetween.cli.parallel import launch
from gen_inbetween.runtime.processes import raise_on_signals
raise_on_signals()
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it
sys.executable = "./launcher"
launch(2, ["run"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
@pytest.mark.parametrize("by", ["SIGTERM", "SIGINT"])
def test_processes_have_ended_before_the_command_does(tmp_path, by):
    (tmp_path / "launcher").write_text(LAUNCHER.format(python=sys.executable))
    (tmp_path / "launcher").chmod(0o755)
    command = subprocess.Popen([sys.executable, "-c", COMMAND], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "up").exists():
        assert command.poll() is None
        time.sleep(0.02)
    command.send_signal(getattr(signal, by))
    command.wait(30)
    assert (tmp_path / "ended").exists()


def test_a_process_that_nobody_launched_is_alone():
    process = this_process()
    assert process.speaks and process.ranks is None and process.device is None
    assert process.device_for("cuda") == "cuda" and process.device_for(None) is None


@pytest.mark.parametrize(
    ("asked", "given"), [(None, "cuda:1"), ("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")]
)
def test_a_kind_of_device_is_the_own_one_of_each_process(asked, given):
    assert Process(device="cuda:1").device_for(asked) == given


def test_the_plan_counts_all_seeds_and_knows_every_option(inbetween):
    line = ["plan", "--method", "gi", "--set", "passes=100", "--set", "best_of=4"]
    status, out, err = inbetween(*line, "--model", "pocket-2")
    assert status == 0, err
    assert "17 steps" in out and "400 passes for the best of 4 seeds" in out
