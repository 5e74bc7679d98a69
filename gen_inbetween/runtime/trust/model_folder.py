"""Check of a model folder before diffusers opens it."""

from __future__ import annotations

from pathlib import Path

from gen_inbetween.runtime.files import write_json
from gen_inbetween.runtime.hub import INDEX, ModelError
from gen_inbetween.runtime.trust.limits import UntrustedError, read_object
from gen_inbetween.runtime.trust.model_index import PARTS, find_foreign


def check_classes(folder: Path) -> None:
    """ModelError unless a folder is Stable Video Diffusion and nothing besides, its configurations of usual length."""
    try:
        foreign = find_foreign(folder, read_object(folder / INDEX))
        for config in folder.glob("*/*.json"):  # diffusers reads them whole
            read_object(config)
    except UntrustedError as error:
        raise ModelError(str(error)) from error
    if foreign:
        raise ModelError(foreign)


def name_portably(index: Path) -> None:
    """Write the classes of an index by the names that every supported transformers has; it calls them by its backends.

    transformers 5 saves CLIPImageProcessorPil, which 4 does not know; both know CLIPImageProcessor.
    """
    content = read_object(index)
    for name, (library, classes) in PARTS.items():
        if content.get(name, [None, None])[1] in classes:
            content[name] = [library, classes[0]]
    write_json(index, content)
