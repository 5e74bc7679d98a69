"""Parallel guidance: parts of a batch denoised by several processes.

One gather per evaluation brings them together.

The parts are the two halves of guidance, and, where the directions share nothing (time reversal fusion), each direction
of each half: two processes, or four. Every process draws the same noise and takes the same steps, so all of them hold
the same clip at the end; the parts are those of a single process, computed in batches of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.distributed as dist
from torch import Tensor

Part = tuple[int, list[int]]  # a guidance half, and positions along the direction axis


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, and which of them this one is.

    Raises:
        ValueError: fewer than two, or a rank that is none of them.
    """

    rank: int
    size: int

    def __post_init__(self) -> None:
        if self.size < 2 or not 0 <= self.rank < self.size:
            raise ValueError(f"expected a rank of two processes or more, got {self.rank} of {self.size}")

    @classmethod
    def current(cls) -> Ranks | None:
        """Those of torch.distributed's process group; None without one, or in one of a single process."""
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() < 2:
            return None
        return cls(dist.get_rank(), dist.get_world_size())

    def split(self, halves: Sequence[int], directions: int, separable: bool) -> list[Part]:
        """The parts of an evaluation, in order of half and direction; as many as there are processes, at most.

        >>> Ranks(0, 2).split([0, 1], 2, separable=True)
        [(0, [0, 1]), (1, [0, 1])]
        >>> Ranks(0, 4).split([0, 1], 2, separable=True)
        [(0, [0]), (0, [1]), (1, [0]), (1, [1])]
        """
        if separable and self.size >= len(halves) * directions:
            return [(half, [direction]) for half, direction in product(halves, range(directions))]
        return [(half, list(range(directions))) for half in halves]

    def evaluate(self, parts: Sequence[Part], compute: Callable[[Part], Tensor]) -> Tensor:
        """`compute` of every part, (half, direction, ...) in order, each by one process.

        compute: of one part, (1, directions, ...). Processes without a part of their own compute one that another has.
        """
        mine = compute(parts[self.rank % len(parts)]).contiguous()
        gathered = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(gathered, mine)
        by_half: dict[int, list[Tensor]] = {}
        for (half, _), clips in zip(parts, gathered, strict=False):  # what more processes computed is the same again
            by_half.setdefault(half, []).append(clips)
        return torch.cat([torch.cat(clips, dim=1) for clips in by_half.values()])
