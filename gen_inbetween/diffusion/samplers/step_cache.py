"""Deep features of the UNet kept from one step to the next.

From step to step the outer level of the UNet changes most, the levels below it little (DeepCache, arXiv 2312.00858).
Every n-th step computes all of it; the steps between run the outermost down block and up block alone, the latter on
what the level below had given it at the last whole step. That is an approximation, and takes the memory of one
activation of the outermost level.

    with StepCache(unet, every=2) as cache:
        cache.next("forward", sigma)  # before each pass: which stream of passes it belongs to
        unet(...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any

from torch import Tensor, nn


def is_whole(since: int, before: float, sigma: float, every: int) -> bool:
    """Whether a step at `sigma` computes all of the UNet: every so many do, and the first one after a re-noising.

    since: steps since the last whole one. before: the noise level of the latest.
    """
    return since + 1 >= every or sigma >= before


def whole_steps(sigmas: Iterable[float], every: int) -> Iterator[bool]:
    """Which steps of one stream compute all of the UNet.

    >>> list(whole_steps([9, 8, 7, 6, 6, 5], every=2))
    [True, False, True, False, True, False]
    """
    since, before = every - 1, float("inf")
    for sigma in sigmas:
        whole = is_whole(since, before, sigma, every)
        since, before = 0 if whole else since + 1, sigma
        yield whole


class StepCache:
    """The cache, at work between entering and leaving it. Each stream of passes has its own: directions, halves.

    Args:
        unet: SVD's, with two levels or more.
        every: steps from one whole pass to the next; 1 computes all of them.

    Raises:
        ValueError: a UNet with one level.
    """

    def __init__(self, unet: nn.Module, every: int) -> None:
        blocks: Any = unet
        if len(blocks.up_blocks) < 2:
            raise ValueError("expected a UNet with two levels or more: there is nothing below the outermost")
        self.every = every
        self.down, self.up = list(blocks.down_blocks[1:]), list(blocks.up_blocks[:-1])
        self.inner = [*self.down, blocks.mid_block, *self.up]
        self.kept: dict[Any, Tensor] = {}  # stream -> what the outermost up block is given
        self.steps: dict[Any, tuple[int, float]] = {}  # stream -> steps since its last whole pass, sigma of the last
        self.stream: Any = None
        self.whole = True
        self.skips: dict[int, int] = {}  # number of a down block -> how many skip connections it has

    def next(self, stream: Any, sigma: float) -> None:
        """Say which stream the next pass belongs to; after a re-noising it starts with a whole one."""
        since, before = self.steps.get(stream, (self.every - 1, float("inf")))
        self.stream = stream
        self.whole = is_whole(since, before, sigma, self.every) or stream not in self.kept
        self.steps[stream] = 0 if self.whole else since + 1, sigma

    def __enter__(self) -> StepCache:
        for number, block in enumerate(self.inner):
            block.forward = partial(self.run, number, block.forward)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for block in self.inner:
            del block.forward  # the instance's own; the class's is there again
        self.kept.clear()

    def run(self, number: int, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """An inner block: computed, or what stands for it. Only what the last of them gives is looked at."""
        if self.whole:
            out = forward(*args, **kwargs)
            if number < len(self.down):
                self.skips[number] = len(out[1])
            if number == len(self.inner) - 1:
                self.kept[self.stream] = out
            return out
        if number < len(self.down):
            return None, (None,) * self.skips[number]
        return self.kept[self.stream] if number == len(self.inner) - 1 else None
