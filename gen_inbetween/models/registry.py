"""Named models: source, license, native size and length.

`resolve_model` turns a name, a folder or a hub id into a ModelSpec; `loading.open_pipeline` loads it. Any Stable Video
Diffusion in diffusers' layout works.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gen_inbetween.models.layout import check_pipeline_folder, missing_parts, read_config
from gen_inbetween.models.single_file import PICKLES, read_single_file
from gen_inbetween.runtime.devices import default_device
from gen_inbetween.runtime.hub import (
    BUNDLED,
    HUB_IDS,
    INDEX,
    MODELS_VARIABLE,
    MOTION_FILE,
    ModelError,
    fetch_file,
    find_file,
    models_folder,
)
from gen_inbetween.runtime.messages import nearest_names, warn_once

STABILITY = "Stability AI Community License"
STABILITY_NOTICE = (
    f"Stable Video Diffusion's weights are under the {STABILITY}: free for research and non-commercial use; commercial "
    "use needs a registration, and above 1 M US dollars of yearly revenue an enterprise licence. "
    "Read it before you publish: https://stability.ai/license"
)
SVD_SAMPLE_SIZE = 96  # SVD's UNet config says this at 576 x 1024: the one sample_size that is not the native size


@dataclass(frozen=True)
class ModelSpec:
    """One model, ready to be opened. Height and width in pixels, as the model was trained."""

    name: str
    source: str  # a folder, a single-file checkpoint, or a hub id
    variant: str | None  # of the weight files: "fp16", or None for the plain names
    license: str
    license_notice: str | None  # said once per process when the model is opened
    height: int
    width: int
    num_frames: int
    motion: str | None = None  # the backward motion file to load by default

    def motion_file(self, motion: str | Path | None = "default") -> str | Path | None:
        """The backward motion that is loaded for `motion`: the model's own for "default"; None: none."""
        return self.motion if motion == "default" else motion


MODELS: dict[str, ModelSpec] = {
    name: ModelSpec(name, HUB_IDS[name], variant, STABILITY, STABILITY_NOTICE, 576, 1024, num_frames)
    for name, variant, num_frames in (("svd-xt", "fp16", 25), ("svd", "fp16", 14), ("svd-xt-1.1", "fp16", 25))
}
MODELS |= {
    name: ModelSpec(name, folder, None, "Apache-2.0", None, height=64, width=64, num_frames=14)
    for name, folder in BUNDLED.items()
}
RETIRED = {"pocket": "pocket-2"}  # name of an earlier bundled model -> what took its place


def resolve_model(model: str | Path = "auto") -> ModelSpec:
    """A ModelSpec for "auto", a name of MODELS, a folder, a checkpoint (svd_xt.safetensors) or a hub id.

    It is pointed at local weights where there are any.

    "auto": svd-xt where there are a GPU and its weights, otherwise pocket-2, said once in one line of the log.
    (`inbetween` interpolates larger pictures instead: `generation.auto.stand_in`.)
    Only the small configuration of an unnamed hub id may be fetched here.
    ModelError: an unknown name, a missing folder, a folder or file that is not an SVD, a hub id that cannot be had.
    """
    text = str(model)
    if text == "auto":
        return _automatic()
    named = MODELS.get(text) or next((spec for spec in MODELS.values() if spec.source == text), None)
    if named:
        return _localise(named)
    folder = Path(os.path.expanduser(text))
    if folder.is_file():
        return _spec_of_file(folder.resolve(), text)
    if folder.exists():
        check_pipeline_folder(folder)
        return _spec_of_folder(folder.resolve(), text)
    if isinstance(model, Path) or text.startswith((".", "~", "/")) or text.count("/") > 1 or "\\" in text:
        raise ModelError(f"no model folder at {text}")
    if text.lower().endswith((".safetensors", *PICKLES)):
        raise ModelError(f"no checkpoint at {text}")
    if "/" in text:
        return _spec_of_hub_id(text)
    if text in RETIRED:
        raise ModelError(
            f"the bundled model {text} is no longer part of this package: take {RETIRED[text]}, its next edition (whose"
            " clip of a seed is another one), or the folder of the old one"
        )
    near = nearest_names(text.lower(), [*MODELS, "auto"])
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ModelError(
        f"unknown model {text!r}{hint}: expected auto, {', '.join(MODELS)}, a folder, or a hub id such as owner/name"
    )


def _automatic() -> ModelSpec:
    lacking = lacking_for_svd()
    if lacking is None:
        return _localise(MODELS["svd-xt"])
    bundled = "the small bundled model pocket-2 is used: 64 x 64 pixels, drawn things"
    warn_once(f"model auto: {lacking} here, so {bundled}; {SVD_REMEDY}")
    return _localise(MODELS["pocket-2"])


SVD_REMEDY = (
    f"svd-xt makes generated motion: take a machine with a GPU and run `hf download {HUB_IDS['svd-xt']}`, or put its "
    f"folder at ${MODELS_VARIABLE}/svd-xt"
)


def lacking_for_svd() -> str | None:
    """What this machine lacks for model "auto" to be svd-xt, in words; None: nothing."""
    gpu, weights = default_device().type != "cpu", Path(_localise(MODELS["svd-xt"]).source).is_dir()
    return " and ".join(["no GPU"] * (not gpu) + ["no svd-xt weights"] * (not weights)) or None


def _localise(spec: ModelSpec) -> ModelSpec:
    """The spec with its source on this machine, if all of it is there, and the motion that lies beside it."""
    index = find_file(spec.source if spec.name in BUNDLED else spec.name, [INDEX])
    folder = index.parent if index else None
    missing = missing_parts(folder) if folder else []
    if missing and folder == models_folder(spec.name):  # what is missing in the hub's cache, the hub completes
        warn_once(f"{folder} is passed over: it is not a whole model, it lacks {', '.join(missing)}; get it again")
    if folder and not missing:
        spec = replace(spec, source=str(folder), variant=_variant(folder))
    elif spec.name in BUNDLED:
        raise ModelError(f"the bundled model is not in this installation: no pipeline in {spec.source}; install again")
    candidates = (parent / MOTION_FILE for parent in (folder, models_folder(spec.name)) if parent)
    motion = next((file for file in candidates if file.is_file()), None)
    return replace(spec, motion=str(motion) if motion else None)


def _variant(folder: Path) -> str | None:
    return "fp16" if (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file() else None


def _spec_of_folder(folder: Path, name: str) -> ModelSpec:
    unet, vae = (read_config(folder / part / "config.json", part) for part in ("unet", "vae"))
    motion = folder / MOTION_FILE
    spec = _spec_of_configs(name, unet, vae)
    return replace(spec, source=str(folder), variant=_variant(folder), motion=str(motion) if motion.is_file() else None)


def _spec_of_file(file: Path, name: str) -> ModelSpec:
    configs, motion = read_single_file(file), file.with_name(MOTION_FILE)
    spec = _spec_of_configs(name, configs["unet"], configs["vae"])
    known = {
        "license": STABILITY,
        "license_notice": STABILITY_NOTICE,
        "motion": str(motion) if motion.is_file() else None,
    }
    return replace(spec, source=str(file), **known)  # type: ignore[arg-type]


def _spec_of_hub_id(hub_id: str) -> ModelSpec:
    index = fetch_file(hub_id, INDEX)
    check_pipeline_folder(index.parent, parts=False)  # the parts themselves come when it is opened
    if not missing_parts(index.parent):
        return replace(_spec_of_folder(index.parent, hub_id), name=hub_id)
    unet, vae = (read_config(fetch_file(hub_id, f"{part}/config.json"), part) for part in ("unet", "vae"))
    return _spec_of_configs(hub_id, unet, vae)


def _spec_of_configs(name: str, unet: dict[str, Any], vae: dict[str, Any]) -> ModelSpec:
    width, height = size_of_configs(unet, vae)
    return ModelSpec(name, name, None, "unknown: see the model's own page", None, height, width, unet["num_frames"])


def size_of_configs(unet: dict[str, Any], vae: dict[str, Any]) -> tuple[int, int]:
    """(width, height) in pixels of the clips that a UNet and a VAE of these configurations were trained on."""
    sample_size = unet.get("sample_size") or SVD_SAMPLE_SIZE
    if sample_size == SVD_SAMPLE_SIZE:
        return 1024, 576
    height, width = sample_size if isinstance(sample_size, list | tuple) else (sample_size, sample_size)
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    return width * factor, height * factor
