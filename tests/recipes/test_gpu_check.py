"""eval/gpu_check.py on a CPU: every part runs, and what fails is on the page and in the exit status."""

from __future__ import annotations

import gpu_check
import pytest
import torch


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """One method, one precision, no compiler."""
    monkeypatch.setattr(gpu_check, "METHODS", {"svd": gpu_check.METHODS["svd"]})
    monkeypatch.setattr(gpu_check, "TOLERANCES", {"float32": 2e-2})

    def no_compiler(*_, **__):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(gpu_check, "compile_unet", no_compiler)
    monkeypatch.setattr(gpu_check, "check_memory_options", lambda device: ["| split guidance | 0 | yes |"])


def test_every_part_runs_on_a_cpu(tmp_path):
    page = tmp_path / "page.md"
    status = gpu_check.main(["--device", "cpu", "--small", "--passes", "1", "--out", str(page)])
    text = page.read_text()
    assert status == 0 and "FAILED" not in text
    assert "| svd | float32 | 0 | yes |" in text
    assert text.count("not measured") == 3 and text.count("| not run |") == 3
    assert "| diffusers' UNet |" in text and "| 1.000 |" in text
    assert "torch.compile: RuntimeError: no compiler here" in text and "xformers: " in text


def test_a_part_that_fails_costs_no_other(tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("a device that is not there")

    for part in ("check_methods", "measure_memory", "measure_speed"):
        monkeypatch.setattr(gpu_check, part, broken)
    page = tmp_path / "page.md"
    assert gpu_check.main(["--device", "cpu", "--small", "--out", str(page)]) == 1
    text = page.read_text()
    assert text.count("ValueError: a device that is not there") == 3 and "| split guidance | 0 | yes |" in text


def test_calls_are_timed_in_turn():
    calls, order = {}, []
    for name in "ab":
        calls[name] = lambda name=name: order.append(name)
    seconds = gpu_check.time_in_turn(calls, 3, torch.device("cpu"))
    assert order == list("ab" * 4) and {len(values) for values in seconds.values()} == {3}
