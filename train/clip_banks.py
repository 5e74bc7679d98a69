"""Training clips of the bundled model on disk: frames of both synthetic worlds, drawn once, in shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gen_inbetween.data.synthetic import SyntheticClip, make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.runtime.files import replaced

SHARD = 100  # clips


@dataclass(frozen=True)
class Bank:
    """`clips` clips of one world from seed `first_seed` on; all are below the held-out seeds."""

    world: Literal["plain", "rich"]
    clips: int
    first_seed: int = 0


def draw(world: str, seed: int, num_frames: int, size: int) -> SyntheticClip:
    """Clip `seed` of a world, photographs among its backgrounds."""
    make = {"plain": make_clip, "rich": make_world_clip}[world]
    return make(seed, num_frames=num_frames, size=size, textures=photographs())


def open_banks(banks: tuple[Bank, ...], num_frames: int, size: int, folder: Path) -> dict[str, Tensor]:
    """All clips of all banks: frames (N, F, S, S, 3) uint8, fps (N,), bucket (N,). Missing shards are drawn."""
    shards = [load_file(path) for bank in banks for path in shard_paths(bank, num_frames, size, folder)]
    return {name: torch.cat([shard[name] for shard in shards]) for name in ("frames", "fps", "bucket")}


def shard_paths(bank: Bank, num_frames: int, size: int, folder: Path) -> Iterator[Path]:
    for first in range(bank.first_seed, bank.first_seed + bank.clips, SHARD):
        seeds = range(first, min(first + SHARD, bank.first_seed + bank.clips))
        path = folder / f"{bank.world}_{num_frames}x{size}_{seeds.start}-{seeds.stop}.safetensors"
        if not path.exists():
            clips = [draw(bank.world, seed, num_frames, size) for seed in seeds]
            shard = {
                "frames": torch.from_numpy(np.stack([clip.frames for clip in clips])),
                "fps": torch.tensor([clip.fps for clip in clips]),
                "bucket": torch.tensor([clip.motion_bucket_id for clip in clips]),
            }
            with replaced(path) as temporary:
                save_file(shard, temporary)
        yield path
