"""Masks from points and boxes by SAM (Segment Anything, ICCV 2023) and SAM 2.

SAM comes through transformers and is loaded when called, never before. The image is embedded once; each prompt is then
one call of the mask decoder, which gives up to three masks with a predicted IoU each. `clicks.py` needs no weights.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gen_inbetween.interpolation.editing.clicks import Point, points_of_objects
from gen_inbetween.interpolation.editing.masks import Bool, MaskError
from gen_inbetween.media.image import Frame, load_image
from gen_inbetween.runtime.devices import open_device
from gen_inbetween.runtime.files import read_kept
from gen_inbetween.runtime.hub import MODELS_VARIABLE, ModelError, find_file, models_folder
from gen_inbetween.runtime.messages import silence_torchvision_notice

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

SAMS = (  # looked for in this order where none is named: the best that computes fast comes first
    "facebook/sam2.1-hiera-small",
    "facebook/sam2.1-hiera-base-plus",
    "facebook/sam2.1-hiera-tiny",
    "facebook/sam2.1-hiera-large",
    "facebook/sam-vit-base",
    "facebook/sam-vit-large",
    "facebook/sam-vit-huge",
)
CLASSES = {  # model_type in config.json -> the class in transformers
    "sam": "SamModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",  # SAM 2's weights say so; single pictures use a part of them
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def masks_from_sam(
    image: Frame,
    points: Sequence[Point | Sequence[Point]] | None = None,
    *,
    boxes: Sequence[Box] | None = None,
    negative: Sequence[Point] = (),
    model: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
) -> Bool:
    """Masks of objects that are pointed at, or boxed in, by SAM.

    Args:
        image: anything `load_image` opens.
        points: one entry for each object: (x, y) in pixels, or several such points on the one object.
        boxes: one (left, top, right, bottom) for each object, in pixels; with points too, the box of each entry.
        negative: points that belong to none of the objects.
        model: a folder with weights and preprocessor_config.json of SAM or SAM 2, or a hub id that is on this machine:
            in $GEN_INBETWEEN_MODELS/<last part of the id>, or in the hub's cache. Nothing is downloaded. None: the
            first of SAMS that is here.
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
    sizes = [inputs[name].cpu() for name in ("original_sizes", "reshaped_input_sizes") if name in inputs]
    masks = processor.post_process_masks(output.pred_masks.cpu(), *sizes)[0][0]
    return np.asarray(masks[int(output.iou_scores[0, 0].argmax())].numpy(), bool)


def _dtype_of(values: torch.Tensor) -> torch.dtype:
    return torch.float32 if values.is_floating_point() else values.dtype  # coordinates come in float64


def find_sam(model: str | os.PathLike[str] | None = None) -> Path:
    """The folder of this model, or of the first of SAMS, on this machine; ModelError: it is not here."""
    for name in [model] if model else SAMS:
        folder = Path(os.path.expanduser(name))
        if found := folder if folder.is_dir() else models_folder(folder.name) or _cached(str(name)):
            return found
    missing = f"{model!r} is" if model else f"none of {', '.join(Path(name).name for name in SAMS)} is"
    place = f"${MODELS_VARIABLE}/{Path(model or SAMS[0]).name}"
    raise ModelError(
        f"SAM needs weights, and {missing} on this machine. Get them with `hf download {SAMS[0]}` (184 MB) or "
        "`hf download facebook/sam-vit-base` (375 MB), or put config.json, preprocessor_config.json and "
        f"model.safetensors into {place}; clicks without SAM (masks_from_clicks) need none"
    )


def _cached(name: str) -> Path | None:
    """The folder of a hub id in the hub's cache."""
    file = find_file(name, ["config.json"])
    return file.parent if file else None


def _load_sam(model: str | os.PathLike[str] | None, device: torch.device) -> tuple[Any, Any]:
    silence_torchvision_notice()
    folder = find_sam(model)
    kind = read_kept(folder / "config.json").get("model_type")
    if kind not in CLASSES:
        raise ModelError(
            f"{folder} holds no SAM that can be opened: its config.json says model_type {kind!r}, "
            f"expected one of {', '.join(CLASSES)}"
        )
    import transformers

    if not hasattr(transformers, CLASSES[kind]):
        raise ModelError(f"{folder} is of kind {kind}, which transformers {transformers.__version__} does not know")
    try:
        processor = transformers.SamProcessor.from_pretrained(folder) if kind == "sam" else Sam2Pictures(folder)
        sam: Any = getattr(transformers, CLASSES[kind]).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:  # transformers wraps what the files say into these
        raise ModelError(f"{folder} holds no SAM that can be opened: {str(error).splitlines()[0]}") from error
    return sam.to(device).eval(), processor


class Sam2Pictures:
    """Pictures, points and boxes as SAM 2 takes them, and its masks in pixels of the picture.

    What `Sam2Processor` does, which needs torchvision: the picture is squeezed into a square, and so are the points.
    """

    def __init__(self, folder: Path) -> None:
        said = read_kept(folder / "processor_config.json").get("image_processor", {})
        said = {**read_kept(folder / "preprocessor_config.json"), **said}
        size = said.get("size") or {"height": 1024, "width": 1024}
        self.size = int(size["height"]), int(size["width"])
        self.mean, self.std = (
            torch.tensor(said.get(name) or default).view(3, 1, 1)
            for name, default in (("image_mean", IMAGENET_MEAN), ("image_std", IMAGENET_STD))
        )

    def __call__(self, picture: Image.Image, return_tensors: str = "pt", **prompt: Any) -> dict[str, torch.Tensor]:
        """pixel_values (1, 3, H, W), original_sizes (1, 2), and the prompts as tensors, their places in the square."""
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        square = torch.nn.functional.interpolate(pixels, self.size, mode="bilinear", antialias=True)
        inputs = {name: torch.tensor(value) for name, value in prompt.items()}
        scale = torch.tensor([self.size[1] / picture.width, self.size[0] / picture.height])
        for name, repeats in (("input_points", 1), ("input_boxes", 2)):
            if name in inputs:
                inputs[name] = inputs[name] * scale.repeat(repeats)
        inputs["original_sizes"] = torch.tensor([[picture.height, picture.width]])
        return {"pixel_values": (square - self.mean) / self.std, **inputs}

    def post_process_masks(self, masks: torch.Tensor, sizes: torch.Tensor) -> list[torch.Tensor]:
        """Masks (1, objects, choices, h, w) of the mask decoder as bool (objects, choices, H, W)."""
        size = int(sizes[0, 0]), int(sizes[0, 1])
        return [torch.nn.functional.interpolate(masks[0], size, mode="bilinear") > 0]
