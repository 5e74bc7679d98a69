"""Masks written as pictures, by thing, and by frame of a film."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen_inbetween.interpolation.editing.masks import Bool
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.files import replace_folder, replaced
from gen_inbetween.runtime.outputs import Paths, check_output, embed, path_beside, reserved

SHEET = "things.png"  # in a folder of masks: the frames, dim, beside each thing in its own light
SHOWN = 6  # frames of a film on that sheet


def check_masks_output(path: Path, count: int, inputs: Paths, *, film: bool, overwrite: bool = False) -> None:
    """Raise before the work unless `count` masks may be written to `path`: a folder, or .png for one of a picture.

    ValueError: another ending, or one file for several masks. OutputError: see `runtime.outputs.check_output`.
    """
    if path.suffix and not path.is_dir():
        if path.suffix.lower() != ".png":
            raise ValueError(f"--masks-only writes PNG files: name a folder, or a .png for one mask; got {path}")
        if film or count != 1:
            several = "the masks of a film are" if film else f"{count} masks are"
            raise ValueError(f"{several} more than one picture: name a folder in place of {path}")
    check_output(path, inputs, overwrite=overwrite)


def save_masks(
    path: Path,
    frames: Sequence[Image.Image],
    masks: Sequence[Bool],
    manifest: dict[str, Any],
    inputs: Paths = (),
    *,
    overwrite: bool = False,
) -> Path:
    """Write masks (M, H, W) of each frame to `path`, as `check_masks_output` takes it; where its manifest stands.

    Of one frame mask1.png, mask2.png, ...; of several mask1_00000.png and so on. White is the thing.
    """
    with reserved(path):
        check_output(path, inputs, overwrite=overwrite)
        if path.suffix.lower() == ".png" and not path.is_dir():
            with replaced(path) as temporary:
                _picture(masks[0][0]).save(temporary)
                embed(manifest, temporary)
            return manifests.write_beside(manifest, path)
        with replaced(path, replace_folder) as temporary:
            temporary.mkdir()
            _fill(temporary, frames, masks)
            embed(manifest, temporary)
        return path_beside(path)


def _fill(folder: Path, frames: Sequence[Image.Image], masks: Sequence[Bool]) -> None:
    for number, planes in enumerate(masks):
        for thing, mask in enumerate(planes, 1):
            name = f"mask{thing}.png" if len(masks) == 1 else f"mask{thing}_{number:05d}.png"
            _picture(mask).save(os.path.join(folder, name))
    picked = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), SHOWN)).round().astype(int)).tolist()
    sheet = things_sheet({f"frame {k}, and each thing": frames[k] for k in picked}, [masks[k] for k in picked])
    sheet.save(folder / SHEET)


def things_sheet(frames: Mapping[str, Image.Image], masks: Sequence[Bool]) -> Image.Image:
    """A row for each frame by its label: the frame, and each of its things (M, H, W) in its own light."""
    rows = {}
    for (label, frame), planes in zip(frames.items(), masks, strict=True):
        pixels = np.asarray(frame)
        rows[label] = [frame, *(Image.fromarray(np.where(mask[..., None], pixels, pixels // 4)) for mask in planes)]
    return contact_sheet(rows, columns=len(masks[0]) + 2)


def _picture(mask: Bool) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)
