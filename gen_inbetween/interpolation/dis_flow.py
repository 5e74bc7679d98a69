"""DIS optical flow (Kroeger et al., ECCV 2016), by OpenCV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GREY = (0.299, 0.587, 0.114)


def dis_flow(a: Tensor, b: Tensor) -> Tensor:
    """Optical flow from a to b: frames (B, 3, H, W) in [0, 1] -> (B, 2, H, W) pixels, x and y."""
    flows = list(grey_dis_flows(map(_grey, a), map(_grey, b)))
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).to(a)


def _grey(frame: Tensor) -> NDArray[np.uint8]:
    weights = torch.tensor(GREY).view(3, 1, 1)
    return ((frame.cpu() * weights).sum(0) * 255).round().clamp(0, 255).byte().numpy()


def grey_dis_flows(
    sources: Iterable[NDArray[np.uint8]],
    targets: Iterable[NDArray[np.uint8]],
    preset: Literal["ultrafast", "fast", "medium"] = "medium",
    finest_scale: int = 0,
) -> Iterator[NDArray[np.float32]]:
    """OpenCV's DIS flow from each grey source (H, W) to its target: (H, W, 2) pixels, x and y, at full resolution.

    preset: "medium" refines most; "ultrafast" is the quickest, at more noise.
    finest_scale: 0 searches at full resolution; 1 at half of it, which the presets stop at, in a quarter of the time.
    """
    cv2 = opencv()
    estimator = cv2.DISOpticalFlow_create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset.upper()}"))
    estimator.setFinestScale(finest_scale)  # half the resolution loses objects of a few pixels
    for source, target in zip(sources, targets, strict=True):
        yield np.asarray(estimator.calc(source, target, None), np.float32)


def opencv() -> Any:
    """OpenCV's module. ImportError: it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError("the DIS flow comes with OpenCV: pip install opencv-python-headless") from error
    return cv2
