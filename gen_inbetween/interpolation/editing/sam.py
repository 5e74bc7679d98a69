"""Masks from points and boxes by SAM (Segment Anything, ICCV 2023).

SAM comes through transformers and is loaded when called, never before. The image is embedded once; each prompt is then
one call of the mask decoder, which gives up to three masks with a predicted IoU each. `grabcut.py` needs no weights.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gen_inbetween.interpolation.editing.grabcut import Point, points_of_objects
from gen_inbetween.interpolation.editing.masks import Bool, MaskError
from gen_inbetween.media.image import Frame, load_image
from gen_inbetween.runtime.devices import open_device
from gen_inbetween.runtime.hub import MODELS_VARIABLE, ModelError, models_folder
from gen_inbetween.runtime.messages import silence_torchvision_notice

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

SAM = "facebook/sam-vit-base"


def masks_from_sam(
    image: Frame,
    points: Sequence[Point | Sequence[Point]] | None = None,
    *,
    boxes: Sequence[Box] | None = None,
    negative: Sequence[Point] = (),
    model: str | os.PathLike[str] = SAM,
    device: str | torch.device | None = None,
) -> Bool:
    """Masks of objects that are pointed at, or boxed in, by SAM.

    Args:
        image: anything `load_image` opens.
        points: one entry for each object: (x, y) in pixels, or several such points on the one object.
        boxes: one (left, top, right, bottom) for each object, in pixels; with points too, the box of each entry.
        negative: points that belong to none of the objects.
        model: a folder with SAM's weights and preprocessor_config.json, or a hub id that is on this machine: in
            $GEN_INBETWEEN_MODELS/<last part of the id>, or in the hub's cache. Nothing is downloaded.
        device: where SAM computes; None: the best there is.

    Returns:
        bool (number of objects, H, W): of SAM's masks for each object the one it thinks best.

    Raises:
        MaskError: neither points nor boxes, not as many of both, a point or box outside of the image, an empty mask.
        ModelError: the weights are not on this machine, or are not SAM's.
        FrameError: the image cannot be opened.
    """
    picture = load_image(image)
    prompts = _prompts(picture.size, points, boxes, negative)
    sam, processor = _load_sam(model, open_device(device))
    inputs = processor(picture, return_tensors="pt")
    with torch.inference_mode():
        embedding = sam.get_image_embeddings(inputs["pixel_values"].to(sam.device))
        masks = [_predict(sam, processor, picture, embedding, prompt) for prompt in prompts]
    for number, mask in enumerate(masks, 1):
        if not mask.any():
            raise MaskError(f"SAM finds nothing for object {number}; point somewhere else, or give a box")
    return np.stack(masks)


def _prompts(
    size: tuple[int, int],
    points: Sequence[Point | Sequence[Point]] | None,
    boxes: Sequence[Box] | None,
    negative: Sequence[Point],
) -> list[dict[str, Any]]:
    """What the processor takes for each object: its points with labels (1 on it, 0 off it), its box."""
    shape = size[::-1]
    objects = points_of_objects(points or [], shape, "point")
    off = [point for entry in points_of_objects(negative, shape, "negative point") for point in entry]
    if not objects and not boxes:
        raise MaskError("expected points or boxes, one for each object")
    if objects and boxes and len(objects) != len(boxes):
        raise MaskError(f"expected as many points as boxes where both are given, got {len(objects)} and {len(boxes)}")
    for box in boxes or ():
        left, top, right, bottom = box
        if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
            raise MaskError(f"expected a box (left, top, right, bottom) within {size[0]}x{size[1]} pixels, got {box}")
    prompts = []
    for number in range(len(objects) or len(boxes or ())):
        on = objects[number] if objects else []
        prompt: dict[str, Any] = {}
        if on or off:
            prompt["input_points"] = [[[list(point) for point in (*on, *off)]]]
            prompt["input_labels"] = [[[1] * len(on) + [0] * len(off)]]
        if boxes:
            prompt["input_boxes"] = [[[float(side) for side in boxes[number]]]]
        prompts.append(prompt)
    return prompts


def _predict(sam: Any, processor: Any, picture: Image.Image, embedding: torch.Tensor, prompt: dict[str, Any]) -> Bool:
    """The mask of highest predicted IoU for one prompt."""
    inputs = processor(picture, return_tensors="pt", **prompt)
    prompts = {name: inputs[name].to(sam.device, _dtype_of(inputs[name])) for name in prompt}
    output = sam(image_embeddings=embedding, multimask_output=True, **prompts)
    masks = processor.post_process_masks(
        output.pred_masks.cpu(), inputs["original_sizes"].cpu(), inputs["reshaped_input_sizes"].cpu()
    )[0][0]
    return np.asarray(masks[int(output.iou_scores[0, 0].argmax())].numpy(), bool)


def _dtype_of(values: torch.Tensor) -> torch.dtype:
    return torch.float32 if values.is_floating_point() else values.dtype  # coordinates come in float64


def _load_sam(model: str | os.PathLike[str], device: torch.device) -> tuple[Any, Any]:
    silence_torchvision_notice()
    from transformers import SamModel, SamProcessor

    folder = Path(os.path.expanduser(model))
    source = folder if folder.is_dir() else models_folder(folder.name) or str(model)
    try:
        processor = SamProcessor.from_pretrained(source, local_files_only=True)
        sam: Any = SamModel.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:  # transformers wraps what the hub and the files say into these
        if isinstance(source, Path):
            raise ModelError(
                f"{source} holds no SAM that transformers can open: {str(error).splitlines()[0]}"
            ) from error
        raise ModelError(
            f"SAM's weights {source!r} are not on this machine. Get them with `hf download {SAM}`, or put config.json, "
            f"preprocessor_config.json and model.safetensors into a folder, say ${MODELS_VARIABLE}/{Path(SAM).name}, "
            "and give it as model; masks_from_clicks needs no weights"
        ) from error
    return sam.to(device).eval(), processor
