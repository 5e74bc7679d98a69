"""Peak memory of one full-size SVD-XT evaluation: one UNet for both directions, beside two UNets the published way.

    python eval/full_size_memory.py      # 8 frames of 128x128, bfloat16, random weights, CPU: 7 GB of RAM, minutes

Each variant runs in a process of its own and reports the largest resident size of that process. The published way holds
two UNets, materialises every temporal attention map and stores those of both passes, as the authors' code does
(jeanne-wang/svd_keyframe_interpolation, attn_ctrl/attention_control.py). Both evaluate forward and backward motion,
conditional and unconditional, once. Seconds are reported and prove nothing: the machine may be shared.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNetSpatioTemporalConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from gen_inbetween.diffusion.motion import add_backward_motion, set_direction, temporal_self_attentions
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.footprint import build, unet_inputs
from gen_inbetween.models.configs import SVD_XT

DTYPE = torch.bfloat16
Variant = tuple[Callable[[], list[Tensor]], int]  # one evaluation, and the bytes of the weights it holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=128, help="pixels along each side")
    parser.add_argument("--variant", choices=VARIANTS, help="only this one, in this process (default: both, in turn)")
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(measure(args.variant, args.frames, args.size)))
        return
    size = ["--frames", str(args.frames), "--size", str(args.size)]
    results = {variant: in_subprocess(variant, size) for variant in VARIANTS}
    peaks = [results[variant]["peak_rss_gb"] for variant in ("two_unets", "fused")]
    report: dict[str, Any] = {"frames": args.frames, "size": args.size, "dtype": str(DTYPE), "torch": torch.__version__}
    print(
        json.dumps(
            report | {"machine": platform.machine(), **results, "ratio": round(peaks[0] / peaks[1], 2)}, indent=2
        )
    )


def in_subprocess(variant: str, size: list[str]) -> dict[str, float]:
    command = [sys.executable, __file__, "--variant", variant, *size]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(variant: str, frames: int, size: int) -> dict[str, float]:
    baseline, start = peak_rss_gb(), time.process_time()
    with torch.no_grad():
        evaluate, weights = VARIANTS[variant](frames, size // SVD_XT.latent_factor)
        built = time.process_time()
        finite = all(bool(prediction.isfinite().all()) for prediction in evaluate())
    if not finite:
        raise RuntimeError(f"{variant}: the evaluation gave NaN or infinity, so it may have skipped work")
    return {
        "peak_rss_gb": round(peak_rss_gb(), 2),
        "of_which_imports_gb": round(baseline, 2),
        "weights_gb": round(weights / 1e9, 2),
        "build_cpu_seconds": round(built - start, 1),
        "evaluation_cpu_seconds": round(time.process_time() - built, 1),
    }


def fused(frames: int, side: int) -> Variant:
    """This project: one UNet, batch (direction, guidance), rotated attention without maps, constant cross-attention."""
    unet = random_unet()
    add_backward_motion(unet)
    install_constant_cross_attention(unet)
    set_direction(unet, "both")
    return lambda: [unet(**random_inputs(unet, 4, frames, side)).sample], weight_bytes(unet)


def two_unets(frames: int, side: int) -> Variant:
    """The published way."""
    forward, backward = random_unet(), random_unet()
    store_maps(forward, backward)

    def evaluate() -> list[Tensor]:
        return [unet(**random_inputs(unet, 2, frames, side)).sample for unet in (forward, backward)]

    return evaluate, weight_bytes(forward) + weight_bytes(backward)


def store_maps(forward: nn.Module, backward: nn.Module) -> None:
    """Both store their temporal maps; those of the backward UNet attend through the forward one's, turned."""
    layers = temporal_self_attentions(backward)
    for path, attn in temporal_self_attentions(forward).items():
        store = MapStore()
        attn.set_processor(store)
        layers[path].set_processor(MapStore(turned=store))


class MapStore:
    """Temporal self-attention that forms its map and stores it; with `turned`, attends through that layer's instead."""

    def __init__(self, turned: MapStore | None = None) -> None:
        self.turned = turned
        self.map: Tensor | None = None

    def __call__(self, attn: Attention, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        query, key, value = (
            attn.head_to_batch_dim(layer(hidden_states)) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        self.map = attn.get_attention_scores(query, key)
        used = self.map if self.turned is None else self.turned.map.flip(-1, -2)
        return attn.to_out[0](attn.batch_to_head_dim(used @ value))


def random_unet() -> nn.Module:
    """Full-size, drawn in place from the meta device: float32 weights never exist."""
    unet = build(UNetSpatioTemporalConditionModel, SVD_XT.unet, DTYPE).to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for weight in unet.parameters():
        if weight.ndim > 1:
            weight.uniform_(-0.02, 0.02, generator=generator)
        else:
            weight.fill_(0.5)
    return unet


def random_inputs(unet: nn.Module, batch: int, frames: int, side: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = unet_inputs(unet, batch, frames, side, side)
    return {name: value.normal_(generator=generator) for name, value in inputs.items()}


def weight_bytes(unet: nn.Module) -> int:
    return sum(weight.nbytes for weight in unet.parameters())


def peak_rss_gb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kibibytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


VARIANTS = {"fused": fused, "two_unets": two_unets}

if __name__ == "__main__":
    main()
