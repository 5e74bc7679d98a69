"""A short film with a known painting: recoloured, with hatching that is the same for every frame."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.media.clip import Clip


def paint(frame: np.ndarray) -> np.ndarray:
    """The style: channels turned round and made flat."""
    return (255 - frame[..., [1, 2, 0]] // 64 * 64).astype(np.uint8)


@pytest.fixture(scope="session")
def frames() -> list[np.ndarray]:
    return list(make_clip(7, num_frames=8, size=48, kind="dart", num_objects=1).frames)


@pytest.fixture(scope="session")
def painted(frames) -> dict[int, Image.Image]:
    return {number: Image.fromarray(paint(frame)) for number, frame in enumerate(frames)}


@pytest.fixture
def film(tmp_path, frames, painted):
    """A folder with film.mkv (lossless), k3.png (painted) and f/ (frames)."""
    from gen_inbetween.media.writing.options import VideoOptions

    clip = Clip([Image.fromarray(frame) for frame in frames], 8)
    clip.save(tmp_path / "film.mkv", video=VideoOptions(codec="ffv1"))
    painted[3].save(tmp_path / "k3.png")
    painted[6].save(tmp_path / "k6.png")
    return tmp_path
