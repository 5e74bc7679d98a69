"""Seconds of one evaluation of both motions: ours, diffusers' stock UNet, and two UNets with stored maps, in one run.

    python eval/benchmark.py                       # a fifth of SVD's channels, 14 frames of 256x160, CPU: two minutes
    python eval/benchmark.py --channels 320 --size 1024x576 --frames 25 --device cuda --dtype float16
    python eval/benchmark.py --compile             # and what torch.compile makes of both: minutes, and a C++ compiler
    python eval/benchmark.py --profile             # where ours spends its time

The work is the same: forward and backward motion, each with and without its keyframe. "stock" is diffusers' UNet on a
batch of four, which rotates nothing and is what a denoiser of four clips costs there; "two UNets" is the published way
(eval/full_size_memory.py). They are called in turn, so that a machine that is shared treats them alike; the ratio is of
medians, its spread that of the ratios of one turn each.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel
from full_size_memory import store_maps
from gpu_check import draw, time_in_turn

from gen_inbetween.cli.options import parse_size
from gen_inbetween.diffusion.motion import add_backward_motion, set_direction
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.footprint import build, unet_inputs
from gen_inbetween.models.configs import SVD_UNET

GROUPS = 32  # of diffusers' GroupNorm layers in this UNet


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=64, help="of the first level, a multiple of 32; SVD has 320")
    parser.add_argument("--size", default="256x160", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--frames", type=int, default=14)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--compile", action="store_true", help="also time ours and stock after torch.compile")
    parser.add_argument("--profile", action="store_true", help="print the operators that ours spends its time in")
    given = parser.parse_args(arguments)
    if given.channels < GROUPS or given.channels % GROUPS:
        parser.error(f"--channels: expected a multiple of {GROUPS}, the groups of SVD's norms; got {given.channels}")
    width, height = parse_size(given.size)
    assert width and height
    device, dtype = torch.device(given.device), getattr(torch, given.dtype)
    with torch.no_grad():
        calls = open_calls(given.channels, (given.frames, height // 8, width // 8), device, dtype)
        if given.compile:
            calls |= {f"{name}, compiled": torch.compile(calls[name]) for name in ("stock", "ours")}
        if given.profile:
            profile(calls["ours"])
        seconds = time_in_turn(calls, given.turns, device)
    settings = {name: value for name, value in vars(given).items() if name not in ("profile", "compile")}
    report = {**settings, "torch": torch.__version__, "threads": torch.get_num_threads(), **compare(seconds)}
    print(json.dumps(report, indent=2))
    return report


def open_calls(
    channels: int, size: tuple[int, int, int], device: torch.device, dtype: torch.dtype
) -> dict[str, Callable[[], Any]]:
    """One evaluation of each; size: frames, height and width of the latents."""
    config = SVD_UNET | {
        "block_out_channels": [channels, 2 * channels, 4 * channels, 4 * channels],
        "num_attention_heads": [max(each * channels // 320, 1) for each in (5, 10, 20, 20)],
        "num_frames": size[0],
    }
    stock, ours, forward, backward = (
        build(UNetSpatioTemporalConditionModel, json.dumps(config), dtype) for _ in range(4)
    )
    with torch.device("meta"):
        add_backward_motion(ours)
    for unet in (stock, ours, forward, backward):
        draw(unet, device)
    install_constant_cross_attention(ours)
    set_direction(ours, "both")
    store_maps(forward, backward)
    four, two = (unet_inputs(stock, batch, *size) for batch in (4, 2))
    return {
        "stock": lambda: stock(**four),
        "two UNets": lambda: (forward(**two), backward(**two)),
        "ours": lambda: ours(**four),
    }


def compare(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, and the ratios of ours, compiled or not, to the others with the quartiles of single turns."""
    medians = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    ratios = {}
    ours = {name for name in seconds if name.startswith("ours")}
    for own, other in product(ours, seconds.keys() - ours):
        turns = [mine / theirs for mine, theirs in zip(seconds[own], seconds[other], strict=True)]
        quartiles = statistics.quantiles(turns, n=4) if len(turns) > 1 else [turns[0]] * 3
        ratios[f"{own} / {other}"] = {
            "median": round(quartiles[1], 3),
            "quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
        }
    return {"seconds": medians, "ratios": dict(sorted(ratios.items()))}


def profile(call: Callable[[], Any]) -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        call()
    print(recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


if __name__ == "__main__":
    main()
