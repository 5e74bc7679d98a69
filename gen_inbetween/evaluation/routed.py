"""Method "auto" in an evaluation: pairs of tiny motion go to flow, the others to a sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from PIL import Image

from ..flow.interpolator import FrameInterpolator
from ..flow.pairs import inbetween_frames
from ..flow.registry import DEFAULT, load_interpolator
from ..measuring import measured
from ..models import ModelSpec
from ..routing import DISAGREEMENT, DISPLACEMENT, measure_motion, sampling_method
from ..settings import Settings
from .made import Made
from .pair import Pair
from .samplers import Sampler, open_sampler


@dataclass(frozen=True)
class Routed(Sampler):
    """A sampler that leaves some pairs to an interpolator; a clip of 0 UNet passes is one of those."""

    interpolator: FrameInterpolator
    iters: int

    def make(self, pair: Pair, frame0: Image.Image, frame1: Image.Image, seed: int) -> Made:
        """As `Sampler.make`; of a clip by flow the ends are the keyframes."""
        with measured(torch.device(self.interpolator.device)) as cost:
            if measure_motion(frame0, frame1, self.interpolator).tiny:
                frames = inbetween_frames(frame0, frame1, pair.num_frames, self.interpolator, iters=self.iters)
            else:
                frames = []
        return Made(frames, 0, **cost) if frames else super().make(pair, frame0, frame1, seed)


def open_routed(
    label: str, entry: Mapping[str, Any], spec: ModelSpec, size: tuple[int, int], device: str, dtype: str
) -> Routed:
    """A `Routed` from {method: auto, interpolator: name or file, iters: n, any option of the sampler ...}.

    Raises:
        ValueError: as `samplers.open_sampler`, or an interpolator that cannot be opened. ImportError: its package.
    """
    rest = {key: value for key, value in entry.items() if key not in ("interpolator", "iters")}
    wanted = Settings(method="auto", motion=entry.get("motion", "default"))
    sampler = open_sampler(label, {**rest, "method": sampling_method(wanted, spec)}, spec, size, device, dtype)
    interpolator = load_interpolator(entry.get("interpolator") or DEFAULT, device=device)
    iters = entry.get("iters") or 1
    auto = {"version": interpolator.info.version, "sha256": interpolator.info.sha256, "iters": iters}
    auto |= {"name": interpolator.info.name, "limits": [DISPLACEMENT, DISAGREEMENT]}
    known = {item.name: getattr(sampler, item.name) for item in fields(sampler)}
    known["decided_by"] = {**sampler.decided_by, "auto": auto}
    return Routed(**known, interpolator=interpolator, iters=iters)
