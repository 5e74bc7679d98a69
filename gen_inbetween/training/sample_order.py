"""Deterministic order and random generators of training samples.

Samples are numbered over the whole run: sample `item` of step `step` has the index

    index = step * samples_per_step + item

Each index has its own generator, seeded by (seed, index) alone. So nothing depends on the process that computes it, on
how a step is cut into batches, or on what was drawn before: a run resumed at step n goes on as if it had never stopped,
and needs no random state for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

ORDER, NOISE, KEYFRAMES = range(3)  # what a generator is for: streams that share nothing


def seeded(seed: int, purpose: int, number: int) -> torch.Generator:
    """A generator that depends on these three numbers and on nothing else."""
    state = np.random.SeedSequence([seed, purpose, number]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def clip_index(sample_index: int, count: int, seed: int) -> int:
    """Which of `count` clips is drawn at `sample_index`: every clip once in each epoch, in an order of its own.

    >>> [clip_index(index, 3, seed=0) for index in range(6)]
    [1, 0, 2, 0, 1, 2]
    """
    epoch, position = divmod(sample_index, count)
    return _order(epoch, count, seed)[position]


@lru_cache(maxsize=2)
def _order(epoch: int, count: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=seeded(seed, ORDER, epoch)).tolist()
    return order


def batches_of_sample_indices(
    steps: range, batch_size: int, gradient_accumulation_steps: int, process: int, processes: int
) -> Iterator[list[int]]:
    """The sample indices of one process, batch by batch: `gradient_accumulation_steps` batches make a step.

    >>> list(batches_of_sample_indices(range(2), 2, 1, process=1, processes=2))
    [[2, 3], [6, 7]]
    """
    for step in steps:
        for part in range(gradient_accumulation_steps):
            first = ((step * gradient_accumulation_steps + part) * processes + process) * batch_size
            yield list(range(first, first + batch_size))


class SampleIndexDataset(Dataset):
    """Sample index -> (sample index, number of the clip, clip)."""

    def __init__(self, clips: Any, seed: int) -> None:
        self.clips, self.seed = clips, seed

    def __getitem__(self, sample_index: int) -> tuple[int, int, Any]:
        number = clip_index(sample_index, len(self.clips), self.seed)
        return sample_index, number, self.clips[number]


def draw_batches(
    clips: Any, encode: Callable[[Any, int], Any], batches: Iterable[list[int]], *, seed: int, num_workers: int = 0
) -> Iterator[tuple[list[int], list[Any]]]:
    """(sample indices, encoded clips) of each batch.

    Args:
        clips: a sequence of `TrainingClip` or of `EncodedClip`, read ahead by `num_workers` processes.
        encode: makes (clip, its number) what the UNet learns from, in this process, where the model is.
        batches: sample indices, as `batches_of_sample_indices` gives them.
    """
    loader: DataLoader = DataLoader(
        SampleIndexDataset(clips, seed),
        batch_sampler=cast(Any, batches),
        num_workers=num_workers,
        collate_fn=list,
        generator=seeded(seed, ORDER, 0),  # the loader seeds its workers; left alone it takes from the global generator
    )
    for batch in loader:
        yield [sample_index for sample_index, _, _ in batch], [encode(clip, number) for _, number, clip in batch]
