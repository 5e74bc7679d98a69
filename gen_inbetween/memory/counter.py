"""Counter of matrix FLOPs and live tensor bytes of PyTorch code.

Every operator passes through a dispatch mode. A storage that an operator creates is counted until Python and autograd
have let go of it; views and in-place results belong to a storage that is already known. Nothing depends on the values,
so a full-size model on the meta device gives the figures of a real run without its memory.

Scaled dot-product attention is modelled as the fused kernels do it: one output, laid out (batch, tokens, heads,
channels), and no score matrix. (The meta device would otherwise expand it into two products and a softmax, which no
GPU runs.)
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Footprint:
    """One stage: bytes of its weights, of its largest layer's weights, of its activations at their peak; FLOPs."""

    weights: int
    largest_layer: int
    activations: int
    flops: int


class Cost:
    """Figures of one `counted` region: `flops` (2 per multiply-add, matrix work only) and `peak`, `live` in bytes.

    `peak` is the largest sum of tensors created inside the region and alive at one moment: activations and results.
    Weights and inputs made before the region are not in it, nor is the workspace a kernel takes for itself.
    """

    def __init__(self) -> None:
        self.flops = 0
        self.live = 0
        self.peak = 0
        self._storages: dict[int, weakref.ref] = {}

    def record(self, inputs: Any, outputs: Any) -> None:
        """Count the storages of `outputs` (any nest of tensors) that are neither known nor among `inputs`."""
        created = {storage._cdata: storage for storage in _storages(outputs) if storage._cdata not in self._storages}
        if created:
            for storage in _storages(inputs):
                created.pop(storage._cdata, None)
            for storage in created.values():
                self._hold(storage)
            self.peak = max(self.peak, self.live)

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()

        def release(_: weakref.ref) -> None:
            self.live -= size
            del self._storages[key]

        self.live += size
        self._storages[key] = weakref.ref(storage, release)


def _storages(values: Any) -> Iterator[torch.UntypedStorage]:
    if isinstance(values, Tensor):
        yield values.untyped_storage()
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _storages(value)


class _Operators(TorchDispatchMode):
    def __init__(self, cost: Cost) -> None:
        super().__init__()
        self.cost = cost

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if formula := flop_registry.get(func._overloadpacket):
            self.cost.flops += formula(*args, **kwargs, out_val=out)
        self.cost.record((args, tuple(kwargs.values())), out)
        return out


class counted(TorchFunctionMode):
    """`with counted() as cost: ...` counts everything run inside, by the formulas of torch.utils.flop_counter."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()
        self._operators = _Operators(self.cost)

    def __enter__(self) -> Cost:
        self._operators.__enter__()
        super().__enter__()
        return self.cost

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        self._operators.__exit__(*exc)

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        *batch, heads, tokens, channels = query.shape
        scores = query.numel() // channels * key.shape[-2]
        self.cost.flops += 2 * scores * (channels + value.shape[-1])
        if query.is_meta:
            return query.new_empty(*batch, tokens, heads, value.shape[-1]).transpose(-2, -3)
        with torch.utils._python_dispatch._disable_current_modes():
            out = F.scaled_dot_product_attention(query, key, value, *args, **kwargs)
        self.cost.record((query, key, value), out)
        return out
