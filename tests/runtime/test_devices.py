"""Memory that a container may take, read off made-up control groups of both versions."""

from __future__ import annotations

import pytest
import torch

from gen_inbetween.memory import apply
from gen_inbetween.memory.apply import device_memory_gb
from gen_inbetween.runtime.devices import container_memory


def write_group(folder, limit, usage, inactive, names=("memory.max", "memory.current")):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


@pytest.fixture
def groups(tmp_path):
    (tmp_path / "cgroup").write_text("0::/system/job\n")
    return tmp_path / "root", tmp_path / "cgroup"


def test_the_limit_of_a_container_less_what_it_uses_and_cannot_give_back(groups):
    write_group(groups[0] / "system" / "job", 1000, 700, 200)
    assert container_memory(*groups) == 500


def test_the_narrowest_of_the_groups_above_counts(groups):
    write_group(groups[0] / "system" / "job", "max", 700, 0)
    assert container_memory(*groups) is None
    write_group(groups[0] / "system", 900, 800, 0)
    write_group(groups[0], 5000, 800, 0)
    assert container_memory(*groups) == 100
    write_group(groups[0] / "system" / "job", 1000, 1200, 0)
    assert container_memory(*groups) == 0


def test_version_1_and_no_groups_at_all(groups):
    root, file = groups
    names = "memory.limit_in_bytes", "memory.usage_in_bytes"
    file.write_text("11:cpu,cpuacct:/job\n4:memory:/job\nnonsense\n")
    assert container_memory(root, file) is None
    write_group(root / "memory" / "job", 2**63 - 4096, 7, 0, names)
    assert container_memory(root, file) is None
    write_group(root / "memory" / "job", 4000, 1000, 500, names)
    assert container_memory(root, file) == 3500
    assert container_memory(root, root / "missing") is None


def test_a_run_is_planned_for_the_container(monkeypatch):
    whole = device_memory_gb("cpu")
    monkeypatch.setattr(apply, "container_memory", lambda: 10**6)
    assert device_memory_gb("cpu") == 0.001 < whole
    monkeypatch.setattr(apply, "container_memory", lambda: 10**18)
    assert device_memory_gb(torch.device("cpu")) == pytest.approx(whole, rel=0.5)
