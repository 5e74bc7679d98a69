"""Index of a diffusers folder, held against the five known classes.

diffusers imports what an index names, and some of its versions modules that lie in the folder, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PIPELINE_CLASSES = ("StableVideoDiffusionPipeline", "InbetweenPipeline")
# The parts of SVD, and what each may be. The image processor's class was renamed, and renamed by its backend.
PARTS = {
    "vae": ("diffusers", ("AutoencoderKLTemporalDecoder",)),
    "image_encoder": ("transformers", ("CLIPVisionModelWithProjection",)),
    "unet": ("diffusers", ("UNetSpatioTemporalConditionModel",)),
    "scheduler": ("diffusers", ("EulerDiscreteScheduler",)),
    "feature_extractor": (
        "transformers",
        ("CLIPImageProcessor", "CLIPImageProcessorPil", "CLIPImageProcessorFast", "CLIPFeatureExtractor"),
    ),
}


def find_foreign(folder: Path, index: Mapping[str, Any]) -> str | None:
    """Why a folder with this index is not Stable Video Diffusion alone, in one line; None: it is.

    diffusers can be told by an index to import a module that lies in the folder. Whether it does depends on its
    version, so nothing of the kind is handed to it: another pipeline, an unknown part or class, a file of Python code.
    """
    kind = index.get("_class_name")
    if kind not in PIPELINE_CLASSES:
        return f"{folder} is not an SVD pipeline: it is a {_short(kind or 'pipeline of no class')}"
    parts = {key: value for key, value in index.items() if not key.startswith("_")}
    for name in (*PARTS, *parts):
        library, classes = PARTS.get(name, (None, ()))
        value = parts.get(name)
        if library is None:
            return f"{folder}: its index names a part {_short(name)}, which SVD does not have: not opened"
        if not (isinstance(value, list) and len(value) == 2 and value[0] == library and value[1] in classes):
            return (
                f"{folder}: its index says {name} is {_short(value)}, expected [{library}, {classes[0]}]: not opened, "
                "for such an entry may run code of the folder's own"
            )
    code = sorted(path for pattern in ("*.py", "*/*.py") for path in folder.glob(pattern))
    if not code:
        return None
    return (
        f"{folder} holds Python code ({code[0].relative_to(folder)}), which a model of weights does not need: not "
        "opened; remove it, or get the model from where it was published"
    )


def _short(value: object) -> str:
    return value[:100] if isinstance(value, str) and value.isidentifier() else repr(value)[:100]
