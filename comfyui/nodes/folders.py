"""Models, motions and interpolators by the names that ComfyUI's folders give them."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

FOLDER = "gen_inbetween"  # models/gen_inbetween: backward motions, and SVD folders in diffusers' layout
OWN_MOTION, NO_MOTION = "the model's own", "none"
SHIPPED = ("auto", "dis-splat", "tiny-di", "dis", "blend")  # interpolators that need no file


def register_folder() -> None:
    """Make models/gen_inbetween a folder of ComfyUI's, where it is none yet."""
    folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))


def files_of(category: str, *suffixes: str) -> list[str]:
    """The files of a category with these endings; none where this ComfyUI has no such category."""
    try:
        names = folder_paths.get_filename_list(category)
    except KeyError:
        return []
    return sorted(name for name in names if name.lower().endswith(suffixes))


def pipeline_folders() -> dict[str, str]:
    """Folders in diffusers' layout below models/diffusers and models/gen_inbetween: name -> path."""
    found: dict[str, str] = {}
    for category in ("diffusers", FOLDER):
        try:
            roots = folder_paths.get_folder_paths(category)
        except KeyError:
            continue
        for index in sorted(index for root in roots for index in Path(root).glob("*/model_index.json")):
            found.setdefault(index.parent.name, str(index.parent))
    return found


def model_names() -> list[str]:
    """What Load Inbetween Model offers: the named models, then checkpoints, then folders."""
    from gen_inbetween.models.registry import MODELS

    return [*MODELS, *files_of("checkpoints", ".safetensors"), *pipeline_folders()]


def model_source(name: str) -> str:
    """What opens the model of that name: the name itself, a file or a folder."""
    from gen_inbetween.models.registry import MODELS

    if name in MODELS:
        return name
    return folder_paths.get_full_path("checkpoints", name) or pipeline_folders().get(name, name)


def motion_names() -> list[str]:
    """What Load Inbetween Model offers as backward motions."""
    return [OWN_MOTION, NO_MOTION, *files_of(FOLDER, ".safetensors")]


def motion_source(name: str) -> str | None:
    """The motion of that name, as `inbetween` takes it."""
    if name in (OWN_MOTION, NO_MOTION):
        return "default" if name == OWN_MOTION else None
    return str(folder_paths.get_full_path_or_raise(FOLDER, name))


def interpolator_names() -> list[str]:
    """Interpolators that are here: those that need no file, and the files of ComfyUI's own folder for them."""
    return [*SHIPPED, *files_of("frame_interpolation", ".safetensors", ".pkl", ".pth")]


def interpolator_source(name: str) -> str | None:
    """What opens the interpolator of that name; None: the best there is."""
    if name in SHIPPED:
        return None if name == "auto" else name
    return str(folder_paths.get_full_path_or_raise("frame_interpolation", name))
