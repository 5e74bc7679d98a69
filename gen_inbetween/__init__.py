"""Generative inbetweening: two keyframes in, a natural video between them out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoints import load_motion, save_motion
    from .clip import Clip
    from .generation import inbetween
    from .pipeline import InbetweenPipeline
    from .replaying import replay

__all__ = ["Clip", "InbetweenPipeline", "inbetween", "load_motion", "replay", "save_motion"]

# Imported when first asked for (PEP 562): torch and diffusers take seconds, which `inbetween --help` should not.
_HOMES = {
    "Clip": "clip",
    "InbetweenPipeline": "pipeline",
    "inbetween": "generation",
    "load_motion": "checkpoints",
    "replay": "replaying",
    "save_motion": "checkpoints",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
