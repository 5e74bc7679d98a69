"""What happens at each place of a run, from (seed, place) alone.

Clips are drawn one after another; `place` counts them over the whole run: clip `item` of step `step` is at

    place = step * clips_per_step + item

Each place has its own generator, so nothing depends on the process that computes it, on how a step is cut into batches,
or on what was drawn before: a run resumed at step n goes on as if it had never stopped, and needs no state for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from gen_inbetween.diffusion.edm import sample_sigma
from gen_inbetween.training.latents import EncodedClip, stack
from gen_inbetween.training.loss import backward_motion_loss

ORDER, NOISE, KEYFRAMES = range(3)  # what a generator is for: streams that share nothing


def seeded(seed: int, purpose: int, number: int) -> torch.Generator:
    """A generator that depends on these three numbers and on nothing else."""
    state = np.random.SeedSequence([seed, purpose, number]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def clip_at(place: int, count: int, seed: int) -> int:
    """Which of `count` clips is drawn at `place`: every clip once in each epoch, in an order of its own."""
    epoch, position = divmod(place, count)
    return _order(epoch, count, seed)[position]


@lru_cache(maxsize=2)
def _order(epoch: int, count: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=seeded(seed, ORDER, epoch)).tolist()
    return order


def batches_of_places(
    steps: range, batch_size: int, accumulation: int, process: int, processes: int
) -> Iterator[list[int]]:
    """The places of one process, batch by batch: `accumulation` batches make a step."""
    for step in steps:
        for part in range(accumulation):
            first = ((step * accumulation + part) * processes + process) * batch_size
            yield list(range(first, first + batch_size))


class Places(Dataset):
    """Place -> (place, number of the clip, clip)."""

    def __init__(self, clips: Any, seed: int) -> None:
        self.clips, self.seed = clips, seed

    def __getitem__(self, place: int) -> tuple[int, int, Any]:
        index = clip_at(place, len(self.clips), self.seed)
        return place, index, self.clips[index]


def draw_batches(
    clips: Any, encode: Callable[[Any, int], EncodedClip], places: Iterable[list[int]], *, seed: int, workers: int = 0
) -> Iterator[tuple[list[int], list[EncodedClip]]]:
    """(places, clips) of each batch.

    Args:
        clips: a sequence of `TrainingClip` or of `EncodedClip`, read ahead by `workers` processes.
        encode: makes (clip, its number) what the UNet learns from, in this process, where the model is.
    """
    loader: DataLoader = DataLoader(
        Places(clips, seed),
        batch_sampler=cast(Any, places),
        num_workers=workers,
        collate_fn=list,
        generator=seeded(seed, ORDER, 0),  # the loader seeds its workers; left alone it takes from the global generator
    )
    for batch in loader:
        yield [place for place, _, _ in batch], [encode(clip, index) for _, index, clip in batch]


def loss_at(
    unet: nn.Module,
    places: Sequence[int],
    clips: Sequence[EncodedClip],
    *,
    seed: int,
    mean: float,
    std: float,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """The training loss of these clips, with the noise level and the noise that belong to their places.

    Args:
        seed, mean, std: of the run; levels are exp(mean + std n).
        device, dtype: where and in what the UNet runs.
    """
    generators = [seeded(seed, NOISE, place) for place in places]
    sigma = torch.cat([sample_sigma((1,), generator, mean, std) for generator in generators]).to(device)
    latents, keyframes = stack(clips, device, dtype)
    # A list holds one generator per clip, as everywhere in diffusers.
    return backward_motion_loss(unet, latents, keyframes, sigma, generators)
