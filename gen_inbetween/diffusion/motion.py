"""Backward motion as a small tuned difference from forward motion.

    W_v' = W_v + dW_v,    W_o' = W_o + dW_o

in the temporal self-attention layers only: 16 layers, 24.8 M weights, 1.6 % of SVD. The difference is kept, never the
sum: the base stays shared and frozen, and one file fits SVD and SVD-XT. (Generative Inbetweening, arXiv 2408.15239.)

    add_backward_motion(unet, "lora", rank=16)  # zero: to be trained
    state = motion_state_dict(unet)  # the update alone
    load_motion_state_dict(other_unet, state, alpha=16)

The paper's ablation, backward motion without the rotated attention map, may tune W_q and W_k in the same way.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from diffusers.models.attention import TemporalBasicTransformerBlock
from diffusers.models.attention_processor import Attention, AttnProcessor2_0, XFormersAttnProcessor
from torch import Tensor, nn

from gen_inbetween.diffusion.attention import BidirectionalAttnProcessor, Direction, SplitAttnProcessor
from gen_inbetween.runtime.checks import check_real

# Projection of a layer -> its update in the processor.
UPDATES = {"to_q": "update_q", "to_k": "update_k", "to_v": "update_v", "to_out.0": "update_out"}
Function = TypeVar("Function", bound=Callable[..., Any])
PROJECTIONS = {"vo": ("to_v", "to_out.0"), "qkvo": tuple(UPDATES)}  # which of them are tuned


def temporal_self_attentions(unet: nn.Module) -> dict[str, Attention]:
    """Every temporal self-attention layer by its path in the UNet; the one place where layers are found.

    Raises:
        ValueError: there is none, so this is not SVD's UNet.
    """
    layers = {
        f"{path}.attn1": block.attn1
        for path, block in unet.named_modules()
        if isinstance(block, TemporalBasicTransformerBlock)
    }
    if not layers:
        raise ValueError(
            f"expected a UNetSpatioTemporalConditionModel, got {type(unet).__name__} without temporal attention"
        )
    return layers


def split_temporal_attention(unet: nn.Module) -> None:
    """Let diffusers' own processors on temporal layers take a batch in parts (`SplitAttnProcessor`); safe to repeat."""
    for block in unet.modules():
        if isinstance(block, TemporalBasicTransformerBlock):
            for attn in filter(None, (block.attn1, block.attn2)):
                if isinstance(attn.processor, (AttnProcessor2_0, XFormersAttnProcessor)):
                    attn.set_processor(SplitAttnProcessor(attn.processor))  # type: ignore[arg-type]


def projection(attn: Attention, name: str) -> nn.Linear:
    """The projection of a layer that is called `name` in `UPDATES`."""
    return cast(nn.Linear, attn.get_submodule(name))


class FullUpdate(nn.Linear):
    """dW (and, where a checkpoint has one, db) of a projection, zero until trained: (..., in) -> (..., out)."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class LowRankUpdate(nn.Module):
    """dW = alpha / rank * B A, with PEFT's names and initialisation (B = 0): (..., in) -> (..., out)."""

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.lora_A = nn.Linear(in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, out_features, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.lora_B(self.lora_A(x))


def zero_update(layer: nn.Linear, kind: str, rank: int, alpha: float | None) -> nn.Module:
    """A new update of `layer` that changes nothing yet.

    Args:
        kind: "full" (dW) or "lora" (B A of rank `rank`, scaled by `alpha` / `rank`; alpha defaults to rank).

    Raises:
        ValueError: another kind, or rank < 1.
    """
    if kind not in ("full", "lora"):
        raise ValueError(f"expected update 'full' or 'lora', got {kind!r}")
    if rank < 1:
        raise ValueError(f"expected a rank of at least 1, got {rank}")
    size = layer.in_features, layer.out_features
    if kind == "full":
        return FullUpdate(*size, bias=False)
    return LowRankUpdate(*size, rank, rank if alpha is None else alpha)


def add_backward_motion(
    unet: nn.Module,
    update: str = "full",
    rank: int = 16,
    alpha: float | None = None,
    kernel: str = "sdpa",
    *,
    rotate: bool = True,
    projections: str = "vo",
) -> None:
    """Install backward motion with a zero update; freeze the UNet, so that only the update trains.

    An installed UNet behaves as plain SVD until a direction is set. Install before offloading hooks and after
    `enable_xformers_memory_efficient_attention`, which would replace the processors.

    Args:
        update: "full" (dW) or "lora" (B A of rank `rank`, scaled by `alpha` / `rank`; alpha defaults to rank).
        kernel: "sdpa" or "xformers", as in `attention.open_kernel`.
        rotate: attend through the rotated attention map; false is the paper's ablation.
        projections: "vo" tunes values and outputs; "qkvo" queries and keys too, which needs rotate=False.

    Raises:
        ValueError: unknown update, kernel or projections, rank < 1, or "qkvo" with rotation.
        RuntimeError: xformers asked for and not able to run.
    """
    if projections not in PROJECTIONS:
        raise ValueError(f"expected projections out of {', '.join(PROJECTIONS)}, got {projections!r}")
    updates = {
        path: {name: zero_update(projection(attn, name), update, rank, alpha) for name in PROJECTIONS[projections]}
        for path, attn in temporal_self_attentions(unet).items()
    }
    install(unet, updates, kernel, rotate)


def load_motion_state_dict(
    unet: nn.Module,
    state: Mapping[str, Tensor],
    *,
    alpha: float | None = None,
    kernel: str = "sdpa",
    rotate: bool = True,
) -> None:
    """Install the backward motion of `state`, named as in `motion_state_dict`; its names tell rank and projections.

    Nothing is installed unless every layer of the UNet is filled, every shape fits and no key is left over.

    Args:
        alpha: LoRA's alpha (its rank is read from the shapes); required there, as a wrong scale shows no error.
        rotate: whether the motion was trained with the rotated attention map, which no name or shape tells.

    Raises:
        ValueError: a missing layer, an unknown key, a wrong shape, a value that is not finite, LoRA and no alpha,
            queries and keys for a motion that rotates.
    """
    unused = dict(state)
    names = PROJECTIONS[tuned_projections(state)]
    updates: dict[str, dict[str, nn.Module]] = {}
    for path, attn in temporal_self_attentions(unet).items():
        updates[path] = {}
        for name in names:
            prefix = f"{path}.{name}."
            tensors = {key.removeprefix(prefix): unused.pop(key) for key in list(unused) if key.startswith(prefix)}
            updates[path][name] = fill_update(projection(attn, name), tensors, prefix, alpha)
    if unused:
        keys = ", ".join(list(unused)[:3]) + (f" and {len(unused) - 3} more" if len(unused) > 3 else "")
        raise ValueError(f"unknown weights for this UNet: {keys}; was the motion made for another model?")
    install(unet, updates, kernel, rotate)


def fill_update(layer: nn.Linear, tensors: Mapping[str, Tensor], prefix: str, alpha: float | None) -> nn.Module:
    """One update of `layer` from its tensors, keyed "weight" (and "bias") or "lora_A.weight" and "lora_B.weight"."""
    size = layer.in_features, layer.out_features
    update: nn.Module
    if "lora_A.weight" in tensors:
        if alpha is None:
            raise ValueError("expected LoRA's alpha beside its weights, got none: take it from the file's config")
        update = LowRankUpdate(*size, tensors["lora_A.weight"].shape[0], alpha)
    else:
        update = FullUpdate(*size, bias="bias" in tensors)
    expected = {key: tuple(value.shape) for key, value in update.state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    if expected != shapes:
        raise ValueError(
            f"expected {prefix}* of shapes {expected}, got {shapes or 'nothing'}; was the motion made for another "
            "model?"
        )
    if not all(value.isfinite().all() for value in tensors.values()):
        raise ValueError(f"expected finite weights, got NaN or infinity in {prefix}*")
    update.load_state_dict(dict(tensors))
    return update


def tuned_projections(names: Iterable[str]) -> str:
    """Which of `PROJECTIONS` the tensors of these names tune."""
    return "qkvo" if any(f".{projection}." in name for name in names for projection in ("to_q", "to_k")) else "vo"


def install(unet: nn.Module, updates: Mapping[str, Mapping[str, nn.Module]], kernel: str, rotate: bool) -> None:
    """Freeze the UNet and give each layer, where it is, a processor with its trainable updates, by projection."""
    if rotate and any("to_q" in layer for layer in updates.values()):
        raise ValueError(
            "with rotation backward motion attends by forward motion's query and key, and its own are never computed: "
            "to tune them too (projections=qkvo) set rotate=false, or keep projections=vo"
        )
    processors = {
        path: BidirectionalAttnProcessor(
            **{UPDATES[name]: update for name, update in layer.items()}, kernel=kernel, rotate=rotate
        )
        for path, layer in updates.items()
    }
    unet.requires_grad_(False)
    for path, attn in temporal_self_attentions(unet).items():
        processor = processors[path].to(attn.to_v.weight)  # its device and dtype
        attn.set_processor(cast(Any, processor))


def motion_state_dict(unet: nn.Module) -> dict[str, Tensor]:
    """The update alone, as differences: "<path>.to_v.weight", "<path>.to_out.0.weight" (and ".bias"), or LoRA's pairs.

    Where queries and keys are tuned too, "<path>.to_q.weight" and "<path>.to_k.weight" stand beside them.

    Raises:
        RuntimeError: no backward motion is installed.
    """
    return {
        f"{path}.{name}.{key}": value
        for path, processor in motion_processors(unet).items()
        for name, attribute in UPDATES.items()
        if (update := getattr(processor, attribute)) is not None
        for key, value in update.state_dict().items()
    }


def motion_processors(unet: nn.Module) -> dict[str, BidirectionalAttnProcessor]:
    """The processor of every temporal self-attention layer; RuntimeError: no backward motion is installed."""
    if not has_backward_motion(unet):
        raise RuntimeError(
            "expected a UNet with backward motion, found none: call add_backward_motion or load a motion"
        )
    return {path: cast(Any, attn.processor) for path, attn in temporal_self_attentions(unet).items()}


def has_backward_motion(unet: nn.Module) -> bool:
    """Whether every temporal self-attention layer has its bidirectional processor."""
    return all(
        isinstance(attn.processor, BidirectionalAttnProcessor) for attn in temporal_self_attentions(unet).values()
    )


def remove_backward_motion(unet: nn.Module) -> None:
    """Back to stock SVD; the update is dropped."""
    for attn in temporal_self_attentions(unet).values():
        attn.set_processor(cast(Any, AttnProcessor2_0()))


@contextmanager
def without_backward_motion(unet: nn.Module) -> Iterator[None]:
    """The stock UNet for the time of a `with`, for saving the base without the update; the update comes back after."""
    processors = {path: attn.processor for path, attn in temporal_self_attentions(unet).items()}
    remove_backward_motion(unet)
    try:
        yield
    finally:
        for path, attn in temporal_self_attentions(unet).items():
            attn.set_processor(processors[path])


def set_direction(unet: nn.Module, direction: Direction, *, keep_attention: bool = False) -> None:
    """Tell every layer which motion the next batches are, as `BidirectionalAttnProcessor.direction` has it.

    A plain setter, not a context manager: gradient checkpointing runs a layer again after a `with` would have ended.

    Args:
        keep_attention: keep (query, key) of the coming "forward" pass for the "backward" pass after it.

    Raises:
        ValueError: an unknown direction.
        RuntimeError: a direction other than "forward" on layers without backward motion.
    """
    if direction not in ("forward", "backward", "both"):
        raise ValueError(f"expected direction 'forward', 'backward' or 'both', got {direction!r}")
    for path, attn in temporal_self_attentions(unet).items():
        processor = attn.processor
        if isinstance(processor, BidirectionalAttnProcessor):
            processor.direction, processor.keep_attention = direction, keep_attention
            if direction != "backward":
                processor.attention = None
        elif direction != "forward":
            raise RuntimeError(
                f"expected backward motion in {path}, found {type(processor).__name__}: load the motion (or call "
                "add_backward_motion) last, because enable_xformers_memory_efficient_attention and set_attn_processor "
                "replace it without a word"
            )


@contextmanager
def sole_use(unet: nn.Module) -> Iterator[None]:
    """Keep other threads off `unet` for the time of a `with`, the compiled or wrapped one counting as the same.

    Its layers hold the direction of the pass that is under way, and offloading moves its weights, so whoever runs it
    has it alone. A thread that has it may take it again.
    """
    layer = next(iter(temporal_self_attentions(unet).values()))
    with _locks_lock:
        lock = _locks.setdefault(layer, threading.RLock())
    with lock:
        yield


_locks: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()  # on the UNet they would keep it from being copied
_locks_lock = threading.Lock()


def one_at_a_time(method: Function) -> Function:
    """Decorator of methods of a pipeline: a second thread waits until the first is through with the UNet."""

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with sole_use(self.unet):
            return method(self, *args, **kwargs)

    return run  # type: ignore[return-value]


def set_motion_scale(unet: nn.Module, scale: float) -> None:
    """Weigh the update: 1 is the motion as trained, 0 stock projections through the same attention map.

    Raises:
        ValueError: a scale that is not finite. RuntimeError: no backward motion is installed.
    """
    check_real("motion_scale", scale)
    for processor in motion_processors(unet).values():
        processor.update_scale = float(scale)


def get_motion_scale(unet: nn.Module) -> float:
    """The weight of the update, see `set_motion_scale`; RuntimeError: no backward motion is installed."""
    return next(iter(motion_processors(unet).values())).update_scale


def rotates(unet: nn.Module) -> bool:
    """Whether the backward motion of `unet` attends through the rotated attention map; RuntimeError: it has none."""
    return all(processor.rotate for processor in motion_processors(unet).values())
