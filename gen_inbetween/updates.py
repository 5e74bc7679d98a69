"""What backward motion adds to a projection: dW, zero until trained, in full or as a product of low rank.

The update is a layer of its own beside the frozen projection, so that W x + dW x needs no second copy of W.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn


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


def fill_update(layer: nn.Linear, part: Mapping[str, Tensor], prefix: str, alpha: float | None) -> nn.Module:
    """One update of `layer` from its tensors, keyed "weight" (and "bias") or "lora_A.weight" and "lora_B.weight"."""
    size = layer.in_features, layer.out_features
    update: nn.Module
    if "lora_A.weight" in part:
        if alpha is None:
            raise ValueError("expected LoRA's alpha beside its weights, got none: take it from the file's config")
        update = LowRankUpdate(*size, part["lora_A.weight"].shape[0], alpha)
    else:
        update = FullUpdate(*size, bias="bias" in part)
    expected = {key: tuple(value.shape) for key, value in update.state_dict().items()}
    got = {key: tuple(value.shape) for key, value in part.items()}
    if expected != got:
        raise ValueError(
            f"expected {prefix}* of shapes {expected}, got {got or 'nothing'}; was the motion made for another model?"
        )
    if not all(value.isfinite().all() for value in part.values()):
        raise ValueError(f"expected finite weights, got NaN or infinity in {prefix}*")
    update.load_state_dict(dict(part))
    return update
