"""What the tests of the samplers share: a tuned UNet in float64, and the re-noising as it is drawn."""

from __future__ import annotations

import pytest
import torch
from cases import noise

from gen_inbetween.diffusion import sampling


@pytest.fixture(scope="module")
def unet(tiny_pipe):
    return tiny_pipe(motion="full", dtype=torch.float64).unet


@pytest.fixture
def draws(monkeypatch):
    """The re-noising, recorded so that the reference can use the same."""
    noises = []

    def draw(shape, **_):
        noises.append(noise(*shape, seed=100 + len(noises)))
        return noises[-1]

    monkeypatch.setattr(sampling, "randn_tensor", draw)
    return noises
