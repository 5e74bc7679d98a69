"""eval/benchmark.py: what is timed is the same work, and the ratios are of one run."""

from __future__ import annotations

import benchmark
import pytest
import torch


def test_a_run_tells_medians_and_ratios(capsys):
    report = benchmark.main(["--channels", "32", "--size", "64x64", "--frames", "3", "--turns", "2"])
    assert set(report["seconds"]) == {"stock", "two UNets", "ours"}
    assert set(report["ratios"]) == {"ours / stock", "ours / two UNets"}
    assert all(0.01 < ratio["median"] < 100 for ratio in report["ratios"].values())
    assert '"turns": 2' in capsys.readouterr().out


@pytest.mark.parametrize("channels", ["80", "0", "-32"])
def test_channels_that_the_norms_cannot_divide_are_one_line(channels, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--channels", channels])
    assert ended.value.code == 2
    assert "expected a multiple of 32" in capsys.readouterr().err


def test_the_default_can_be_built(monkeypatch):
    opened = {}
    monkeypatch.setattr(benchmark, "draw", lambda unet, device: None)  # they stay on the meta device
    monkeypatch.setattr(benchmark, "time_in_turn", lambda calls, *_: opened.update(calls) or {"ours": [1.0]})
    benchmark.main([])
    assert set(opened) == {"stock", "two UNets", "ours"}


@torch.no_grad()
def test_every_call_evaluates_four_clips():
    calls = benchmark.open_calls(32, (3, 8, 8), torch.device("cpu"), torch.float32)
    assert calls["stock"]().sample.shape == calls["ours"]().sample.shape == (4, 3, 4, 8, 8)
    assert [out.sample.shape for out in calls["two UNets"]()] == 2 * [(2, 3, 4, 8, 8)]


def test_ratios_are_of_single_turns():
    report = benchmark.compare({"stock": [1.0, 2.0, 4.0], "ours": [0.9, 1.8, 3.6]})
    assert report["ratios"]["ours / stock"]["quartiles"] == pytest.approx([0.9, 0.9])


def test_compiled_ones_are_compared_with_those_that_are_not():
    report = benchmark.compare(
        {"stock": [2.0], "two UNets": [4.0], "ours": [1.8], "stock, compiled": [1.0], "ours, compiled": [0.9]}
    )
    ratios = {name: ratio["median"] for name, ratio in report["ratios"].items()}
    assert len(ratios) == 6
    assert ratios["ours, compiled / stock"] == pytest.approx(0.45)
    assert ratios["ours, compiled / stock, compiled"] == pytest.approx(0.9)


@pytest.mark.slow
def test_compile_adds_two_calls():
    report = benchmark.main(["--channels", "32", "--size", "64x64", "--frames", "3", "--turns", "1", "--compile"])
    assert {"stock, compiled", "ours, compiled"} < set(report["seconds"])
