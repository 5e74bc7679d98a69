"""Check this project on a GPU: results against the CPU, memory against the plan, speed against the stock pipeline.

    python eval/gpu_check.py                        # writes eval/gpu_check.md; perhaps 20 minutes; 12 GB of memory
    python eval/gpu_check.py --vram-gb 24 --passes 5
    python eval/gpu_check.py --device cpu --small   # the same path on a CPU with a small UNet: does the script run?

Four parts; one that fails costs no other: (1) every method on the bundled model, on the device in float32, bfloat16 and
float16 against the CPU in float32; (2) every memory option against none; (3) what the planner says a full-size SVD-XT
with random weights takes against what it took; (4) seconds a UNet pass at full size: diffusers' stock UNet and ours in
turn in one run, with xformers and torch.compile where they are to be had. Random weights cost what real ones cost and
need no download. The exit status is 1 where a part failed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from torch import nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.motion import add_backward_motion, set_direction
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.memory.apply import apply_memory_options, compile_unet
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.footprint import build, unet_inputs
from gen_inbetween.memory.options import MemoryOptions, describe_memory_options
from gen_inbetween.memory.plan import GB, plan
from gen_inbetween.models.configs import SVD_XT, ModelConfigs
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.manifest import versions
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

OUT = Path(__file__).with_name("gpu_check.md")
SMALL = replace(
    SVD_XT,
    name="a small SVD",
    unet=json.dumps(
        json.loads(SVD_XT.unet)
        | {"block_out_channels": (32, 32, 64, 64), "num_attention_heads": (1, 1, 2, 2), "cross_attention_dim": 32}
        | {"layers_per_block": 1, "num_frames": 4}
    ),
    vae=json.dumps(json.loads(SVD_XT.vae) | {"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1}),
    image_encoder=json.dumps(
        {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"projection_dim": 32, "patch_size": 56}
    ),
    width=128,
    height=64,
    num_frames=4,
)
TOLERANCES = {"float32": 2e-2, "bfloat16": 0.5, "float16": 0.2}  # of the clip's deviation, after two steps from noise


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=str(default_device()))
    parser.add_argument("--vram-gb", type=float, help="leave out memory options that are planned to need more")
    parser.add_argument("--passes", type=int, default=5, help="timed calls of each UNet")
    parser.add_argument("--small", action="store_true", help="a small UNet in place of SVD-XT's")
    add_output(parser, OUT, "--out")
    given = parser.parse_args(arguments)
    with writing_report(parser, given):
        passed = report(given)
    print(given.output)
    return int(not passed)


def report(given: argparse.Namespace) -> bool:
    """Write the page, part by part; whether all is as it should be."""
    device, configs = torch.device(given.device), SMALL if given.small else SVD_XT
    parts: dict[str, Callable[[], list[str]]] = {
        "Methods on the device against the CPU": lambda: check_methods(device),
        "Memory options against none": lambda: check_memory_options(device),
        "Memory: planned and measured": lambda: measure_memory(device, configs, given.vram_gb),
        "Seconds a pass": lambda: measure_speed(device, configs, given.passes),
    }
    lines, failed = ["# Check on a GPU", "", *describe_machine(device, configs)], False
    for title, part in parts.items():
        print(title, flush=True)
        lines += ["", f"## {title}", ""]
        try:
            lines += part()
        except Exception:  # one part must not cost the others; the page has what went wrong
            failed = True
            lines += ["FAILED", "", "```", traceback.format_exc().rstrip(), "```"]
        write_page(given.output, ["\n".join(lines)])
    return not failed and not any(line.endswith("| NO |") for line in lines)


def describe_machine(device: torch.device, configs: ModelConfigs) -> list[str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    packages = ", ".join(f"{package} {version}" for package, version in versions().items())
    size = f"{configs.num_frames} frames of {configs.width}x{configs.height}"
    return [f"{name}, {packages}; {configs.name}, {size}, random weights.", "", "`python eval/gpu_check.py`"]


def pictures(width: int, height: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(2, 3, 4, 4, generator=generator)
    return list(nn.functional.interpolate(coarse, (height, width), mode="bilinear"))


def sample(pipe: Any, method: str, width: int, height: int, **options: Any) -> torch.Tensor:
    """Latents of two steps, float32 on the CPU."""
    generator = torch.Generator("cpu").manual_seed(0)
    options = {"num_inference_steps": 2, "output_type": "latent", **options}
    return pipe(*pictures(width, height), method=method, generator=generator, **options).latents.float().cpu()


def check_methods(device: torch.device) -> list[str]:
    """Largest difference from the CPU's latents, of their deviation."""
    rows = ["| method | dtype | largest difference | as expected |", "|---|---|---:|---|"]
    cpu = open_pipeline("pocket-2", device="cpu", dtype=torch.float32, shared=False)
    cpu.set_progress_bar_config(disable=True)
    wanted = {name: sample(cpu, name, 64, 64) for name in METHODS}
    for dtype, tolerance in TOLERANCES.items():
        pipe = open_pipeline("pocket-2", device=device, dtype=getattr(torch, dtype), shared=False)
        pipe.set_progress_bar_config(disable=True)
        for name in METHODS:
            off = float((sample(pipe, name, 64, 64) - wanted[name]).abs().max() / wanted[name].std())
            rows.append(f"| {name} | {dtype} | {off:.2g} | {'yes' if off <= tolerance else 'NO'} |")
    return rows


def check_memory_options(device: torch.device) -> list[str]:
    """The bundled model in float32: the same clip with each option."""
    rows = ["| option | largest difference | as expected |", "|---|---:|---|"]
    options = {"split guidance": {"split_guidance": True}, "decode all": {"decode": "all"}}
    memory = {"chunks of 1": MemoryOptions(forward_chunking=1), "compiled": MemoryOptions(compile=True)}
    if device.type != "cpu":
        memory |= {f"{way} offload": MemoryOptions(offload=way) for way in ("model", "group")}  # type: ignore[arg-type]

    def frames(memory: MemoryOptions, **call: Any) -> torch.Tensor:
        pipe = open_pipeline("pocket-2", device=device, dtype=torch.float32, shared=False)
        pipe.set_progress_bar_config(disable=True)
        apply_memory_options(pipe, memory, device)
        generator = torch.Generator("cpu").manual_seed(0)
        call = {"num_inference_steps": 2, "output_type": "pt", "method": "gi", "renoise_steps": 0, **call}
        return pipe(*pictures(64, 64), generator=generator, **call).frames.float().cpu()

    wanted = frames(MemoryOptions())
    runs = {name: lambda call=call: frames(MemoryOptions(), **call) for name, call in options.items()}
    runs |= {name: lambda each=each: frames(each) for name, each in memory.items()}
    for name, run in runs.items():
        try:
            off = float((run() - wanted).abs().max())
        except Exception as error:  # no compiler, no stream: said in its row
            rows.append(f"| {name} | {type(error).__name__}: {str(error).splitlines()[0][:80]} | NO |")
            continue
        rows.append(f"| {name} | {off:.2g} | {'yes' if off <= 0.02 else 'NO'} |")
    return rows


def full_size_pipe(configs: ModelConfigs, device: torch.device, dtype: torch.dtype) -> InbetweenPipeline:
    """The model's architecture with random weights, its backward motion installed."""
    with torch.device("meta"):
        encoder: Any = CLIPVisionModelWithProjection(CLIPVisionConfig(**json.loads(configs.image_encoder)))
    unet, vae = (
        build(kind, config, dtype)
        for kind, config in (
            (UNetSpatioTemporalConditionModel, configs.unet),
            (AutoencoderKLTemporalDecoder, configs.vae),
        )
    )
    with torch.device("meta"):
        add_backward_motion(unet)
    for model in (unet, vae, encoder):
        draw(nn.Module.to(model, dtype=dtype), device)
    scheduler = EulerDiscreteScheduler(
        prediction_type="v_prediction",
        timestep_type="continuous",
        timestep_spacing="leading",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
    )
    pipe = InbetweenPipeline(
        unet=unet, vae=vae, image_encoder=encoder, scheduler=scheduler, feature_extractor=CLIPImageProcessor()
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(model: nn.Module, device: torch.device) -> None:
    """Weights of a model on the meta device, drawn small where they are matrices, so that nothing overflows."""
    model.to_empty(device=device).eval().requires_grad_(False)
    for weight in model.parameters():
        weight.normal_(std=0.01) if weight.ndim > 1 else weight.fill_(0.1)
    for name, buffer in model.named_buffers():
        if "position_ids" in name:
            buffer.copy_(torch.arange(buffer.numel(), device=device).reshape(buffer.shape))


def measure_memory(device: torch.device, configs: ModelConfigs, vram_gb: float | None) -> list[str]:
    """One step of gi with every candidate of the planner."""
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    rows = ["| exact options | planned GB | measured GB | measured / planned |", "|---|---:|---:|---:|"]
    for candidate in plan(configs, method="gi", dtype=dtype).candidates:
        options, planned = candidate.options, candidate.peak / GB
        name = describe_memory_options(options)
        if vram_gb is not None and planned > vram_gb or (device.type == "cpu" and options.offload != "none"):
            rows.append(f"| {name} | {planned:.2f} | not run | |")
            continue
        pipe = full_size_pipe(configs, device if options.offload == "none" else torch.device("cpu"), dtype)
        apply_memory_options(pipe, options, device)
        with peak_memory(device) as peak:
            sample(
                pipe,
                "gi",
                configs.width,
                configs.height,
                num_inference_steps=1,
                output_type="pt",
                split_guidance=bool(options.split_guidance),
            )
        del pipe
        measured = peak.get("gb")
        rows.append(
            f"| {name} | {planned:.2f} | not measured | |"
            if measured is None
            else f"| {name} | {planned:.2f} | {measured:.2f} | {measured / planned:.2f} |"
        )
    return rows


@contextmanager
def peak_memory(device: torch.device) -> Iterator[dict[str, float]]:
    """Yields a dict that has "gb" afterwards, where the device tells."""
    peak: dict[str, float] = {}
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    yield peak
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        peak["gb"] = torch.cuda.max_memory_allocated(device) / GB


@torch.no_grad()
def measure_speed(device: torch.device, configs: ModelConfigs, passes: int) -> list[str]:
    """Seconds a clip of one evaluation of gi's batch of four, of each UNet in turn, and its ratio to the stock one."""
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    stock, ours = (build(UNetSpatioTemporalConditionModel, configs.unet, dtype) for _ in range(2))
    with torch.device("meta"):
        add_backward_motion(ours)
    for unet in (stock, ours):
        draw(unet, device)
    install_constant_cross_attention(ours)
    set_direction(ours, "both")
    factor = configs.latent_factor
    inputs = unet_inputs(stock, 4, configs.num_frames, configs.height // factor, configs.width // factor)
    calls: dict[str, Callable[[], Any]] = {
        "diffusers' UNet": lambda: stock(**inputs),
        "ours, both directions": lambda: ours(**inputs),
    }
    seconds = time_in_turn(calls, passes, device)
    notes = []
    for name, prepare in (("xformers", use_xformers), ("torch.compile", compile_unet)):
        try:
            prepare(ours)
            more = {"diffusers' UNet": calls["diffusers' UNet"], name: calls["ours, both directions"]}
            seconds[f"ours, {name}"] = time_in_turn(more, passes, device)[name]
        except Exception as error:
            notes.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
    base = statistics.median(seconds["diffusers' UNet"])
    rows = ["| UNet | seconds a pass, median | spread | of the stock UNet's |", "|---|---:|---:|---:|"]
    for name, values in seconds.items():
        median = statistics.median(values)
        spread = f"{min(values) / 4:.4f} to {max(values) / 4:.4f}"
        rows.append(f"| {name} | {median / 4:.4f} | {spread} | {median / base:.3f} |")
    return rows + ["", *notes]


def use_xformers(unet: Any) -> None:
    """xformers' kernel in the spatial layers and in ours."""
    from gen_inbetween.diffusion.attention import open_kernel
    from gen_inbetween.diffusion.motion import temporal_self_attentions

    kernel = open_kernel("xformers")
    ours = {path: attn.processor for path, attn in temporal_self_attentions(unet).items()}
    unet.enable_xformers_memory_efficient_attention()
    for path, attn in temporal_self_attentions(unet).items():
        ours[path].kernel = kernel
        attn.set_processor(ours[path])
    install_constant_cross_attention(unet)


def time_in_turn(calls: dict[str, Callable[[], Any]], times: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each call, taken in turn so that a machine that warms or is shared treats all alike."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(times):
        for name, call in calls.items():
            wait(device)
            start = time.perf_counter()
            call()
            wait(device)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
