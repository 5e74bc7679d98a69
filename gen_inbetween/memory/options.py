"""Memory options of a run, and the mode of its decoder."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from gen_inbetween.diffusion.decoding.modes import DecodeMode
from gen_inbetween.runtime.checks import check_switch, check_whole

Offload = Literal["none", "model", "group"]
Kernel = Literal["sdpa", "xformers"]


@dataclass(frozen=True)
class MemoryOptions:
    """What is done to save memory; None: the first of the planner's candidates that fits decides.

    Exact, up to rounding, but for the decode modes "chunked" and "preview". Not here, because on this UNet they change
    nothing while seeming to: `set_attention_backend`, `fuse_qkv_projections`.

    Raises:
        ValueError: a value out of its range.
    """

    kernel: Kernel = "sdpa"  # what computes the attention; xformers is an extra and needs a GPU
    compile: bool | None = None  # torch.compile of the UNet; minutes before the first step, and a C++ compiler
    split_guidance: bool | None = None  # both halves of guidance in two UNet passes, not one batch (same FLOPs)
    offload: Offload | None = None  # "model": CLIP, UNet and VAE take turns on the device; "group": their layers do
    forward_chunking: int | None = None  # frames per feed-forward chunk, which divide the clip's; 0: whole
    decode: DecodeMode | None = None  # see `decoding.latents.decode_latents`
    decode_chunk_size: int | None = None  # frames at a time for decode="chunked" (approximate)

    def __post_init__(self) -> None:
        for name, minimum in (("forward_chunking", 0), ("decode_chunk_size", 1)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), minimum)
        if self.split_guidance is not None:
            check_switch("split_guidance", self.split_guidance)
        for name, allowed in (("kernel", Kernel), ("offload", Offload), ("decode", DecodeMode)):
            value = getattr(self, name)
            if value is not None and value not in get_args(allowed):
                raise ValueError(f"expected {name} out of {', '.join(get_args(allowed))}, got {value!r}")


def merge_memory_options(chosen: MemoryOptions, defaults: MemoryOptions) -> MemoryOptions:
    """The chosen options, those that are None taken from `defaults`.

    >>> merge_memory_options(MemoryOptions(offload="none"), MemoryOptions(offload="group", decode="streamed")).decode
    'streamed'
    """
    values = {item.name: getattr(chosen, item.name) for item in fields(chosen)}
    return replace(defaults, **{name: value for name, value in values.items() if value is not None})


def describe_memory_options(options: MemoryOptions) -> str:
    """The options in a few words.

    >>> describe_memory_options(MemoryOptions(split_guidance=True, offload="group", forward_chunking=5))
    'guidance split, group offload, chunks of 5'
    """
    parts = ["guidance split" if options.split_guidance else "guidance in one batch"]
    parts += [f"{options.offload} offload"] if options.offload not in (None, "none") else []
    parts += [f"chunks of {options.forward_chunking}"] if options.forward_chunking else []
    return ", ".join(parts)
