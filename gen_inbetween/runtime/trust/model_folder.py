"""Check of a model folder before diffusers opens it."""

from __future__ import annotations

from pathlib import Path

from gen_inbetween.runtime.hub import INDEX, ModelError
from gen_inbetween.runtime.trust.limits import UntrustedError, read_object
from gen_inbetween.runtime.trust.model_index import find_foreign


def check_classes(folder: Path) -> None:
    """ModelError unless a folder is Stable Video Diffusion and nothing besides: see `find_foreign`."""
    try:
        foreign = find_foreign(folder, read_object(folder / INDEX))
    except UntrustedError as error:
        raise ModelError(str(error)) from error
    if foreign:
        raise ModelError(foreign)
