"""Scripts of training and evaluation, killed at their renames and run again: as if nothing had happened."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen_inbetween.runtime.hub import MOTION_FILE
from gen_inbetween.runtime.traces.leftovers import find_leftovers
from gen_inbetween.training.state import checkpoints
from tests.evaluation_cases import write_pairs
from tests.runtime.test_kills import Server

if sys.platform == "win32":
    pytest.skip("no SIGKILL and no fork there", allow_module_level=True)


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.process.kill()
    server.process.wait()


def killed_everywhere(
    server: Server, request: dict, folder: Path, outcome: Callable[[], object], places: Callable[[int], list[int]]
) -> None:
    """Run a recipe; then kill it at some of its renames, before one and after the next, and run it again each time."""
    out = folder / "out"
    unbroken = server.ask(request, folder)
    assert unbroken["status"] == 0, unbroken["said"]
    expected, names = outcome(), names_in(out)
    assert unbroken["renames"] >= 2 and names
    for number in places(unbroken["renames"]):
        shutil.rmtree(out)
        killed = server.ask(request, folder, kill=number, after=bool(number % 2))
        if killed["status"] == 0 and killed["renames"] < number:
            continue  # hashes that the first run kept for later are not kept again
        assert killed["status"] == -9, killed
        again = server.ask(request, folder)
        assert again["status"] == 0, again["said"]
        assert names_in(out) == names, f"killed at rename {number}"
        assert outcome() == expected, f"killed at rename {number}"
        assert list(find_leftovers(out)) == [], "what the killed run left is gone"


def names_in(folder: Path) -> list[str]:
    """What is there to be seen."""
    return sorted(path.name for path in folder.rglob("*") if path.name[0] != ".")


def every(count: int) -> list[int]:
    return list(range(1, count + 1))


def training(folder: Path, model: Path) -> tuple[dict, Callable[[], object]]:
    (folder / "run.yaml").write_text(
        f"model: {model}\noutput: {folder / 'out'}\nsteps: 2\nbatch_size: 1\nreport_to: none\n"
        "clip: {num_frames: 3, width: 16, height: 16}\ndata: {synthetic: {first_seed: 0, count: 2}}\n"
        "optimizer: {lr: 0.01, lr_warmup_steps: 1}\ncheckpointing_steps: 1\n"
    )

    def outcome() -> dict[str, list[float]]:
        state = torch.load(checkpoints(folder / "out")[-1][1], weights_only=True)
        both = load_file(folder / "out" / MOTION_FILE) | {f"state {name}": t for name, t in state["update"].items()}
        return {name: tensor.flatten().tolist() for name, tensor in both.items()}

    return {"recipe": "finetune_backward", "arguments": ["--config", "run.yaml", "--resume", "latest"]}, outcome


def test_a_training_of_backward_motion(server: Server, tiny_folder: Path, tmp_path: Path) -> None:
    request, outcome = training(tmp_path, tiny_folder)
    killed_everywhere(server, request, tmp_path, outcome, lambda count: [2])  # weights there, their checkpoint not


def test_a_folder_of_latents(server: Server, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        f"model: {tiny_folder}\noutput: {tmp_path}\nsteps: 1\nclip: {{num_frames: 3, width: 16, height: 16}}\n"
        f"data: {{synthetic: {{first_seed: 0, count: 2}}, cache: {tmp_path / 'out'}}}\n"
    )

    def outcome() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}

    request = {"recipe": "prepare_clips", "arguments": ["--config", "run.yaml", "--cache-latents"]}
    killed_everywhere(server, request, tmp_path, outcome, every)


def evaluation(folder: Path) -> tuple[dict, Callable[[], object]]:
    write_pairs(folder / "pairs.jsonl", 2)
    (folder / "run.yaml").write_text(
        f"name: tiny\npairs: {folder / 'pairs.jsonl'}\noutput: {folder / 'out'}\nmodel: pocket-2\n"
        "width: 32\nheight: 32\nmethods: {fade: {baseline: crossfade}}\nmetrics: ['psnr[inner]']\n"
    )

    def outcome() -> list[dict]:
        rows = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    return {"recipe": "evaluate", "arguments": ["--config", "run.yaml"]}, outcome


def test_an_evaluation(server: Server, tmp_path: Path) -> None:
    request, outcome = evaluation(tmp_path)
    killed_everywhere(server, request, tmp_path, outcome, lambda count: [1, count // 2, count])


@pytest.mark.slow
def test_a_training_at_every_rename(server: Server, tiny_folder: Path, tmp_path: Path) -> None:
    request, outcome = training(tmp_path, tiny_folder)
    killed_everywhere(server, request, tmp_path, outcome, every)


@pytest.mark.slow
def test_an_evaluation_at_every_rename(server: Server, tmp_path: Path) -> None:
    request, outcome = evaluation(tmp_path)
    killed_everywhere(server, request, tmp_path, outcome, every)
