"""Inputs that several nodes share, made from the library's own tables."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .folders import interpolator_names

Model = io.Custom("GEN_INBETWEEN_MODEL")  # a `loading.ModelChoice`
CATEGORY = "video/inbetween"
DEFAULT = "default"  # the method that the model is made for
OPTIONS: dict[str, tuple[type[Any], float, float, float, str]] = {  # widget, least, most, step, tooltip
    "num_inference_steps": (io.Int, 1, 200, 1, "Noise levels. More take longer."),
    "min_guidance_scale": (io.Float, 0.0, 20.0, 0.1, "Guidance at the keyframe that a direction starts from ..."),
    "max_guidance_scale": (io.Float, 0.0, 20.0, 0.1, "... and at its far end."),
    "renoise_steps": (io.Int, 0, 20, 1, "How often an early step is repeated."),
    "renoise_ratio": (io.Float, 0.0, 1.0, 0.05, "The share of steps that count as early."),
    "mpd_repeats": (io.Int, 0, 20, 1, "Distilling evaluations of each early step."),
    "mpd_ratio": (io.Float, 0.0, 1.0, 0.02, "The share of steps that distil the forward clip."),
}


def method_input() -> Any:
    """The methods that know both sides, each with its own options at its own defaults."""
    from gen_inbetween.diffusion.methods import METHODS

    options = [io.DynamicCombo.Option(DEFAULT, [])]
    for method in METHODS.values():
        if method.motions != "forward":
            defaults = method.defaults.chosen()
            inputs = [_option(name, defaults[name]) for name in OPTIONS if name in defaults]
            options.append(io.DynamicCombo.Option(method.name, inputs))
    summaries = "; ".join(f"{each.name}: {each.summary}" for each in METHODS.values() if each.motions != "forward")
    tooltip = f"{DEFAULT}: gi where the model has a backward motion, else trf; {summaries}"
    return io.DynamicCombo.Input("method", options=options, tooltip=tooltip)


def _option(name: str, default: Any) -> Any:
    widget, least, most, step, tooltip = OPTIONS[name]
    return widget.Input(name, default=default, min=least, max=most, step=step, tooltip=tooltip)


def method_settings(method: dict[str, Any]) -> dict[str, Any]:
    """What was chosen of `method_input`, as settings of `inbetween`."""
    chosen = dict(method)
    name = chosen.pop("method")
    return {"method": None if name == DEFAULT else name, **chosen}


def seed_input() -> Any:
    """A seed, which ComfyUI changes from run to run unless it is told to keep it."""
    return io.Int.Input("seed", default=0, min=0, max=2**63 - 1, control_after_generate=True, tooltip="The noise.")


def interpolator_input() -> Any:
    """The interpolators that are here."""
    tooltip = "auto: dis-splat. Files: models/frame_interpolation."
    return io.Combo.Input("interpolator", options=interpolator_names(), default="auto", tooltip=tooltip)


def curve_input(name: str = "curve") -> Any:
    """An ease curve as text."""
    tooltip = "linear, ease-in, ease-out, ease-in-out, ... or knots such as 0:0,0.5:0.8,1:1"
    return io.String.Input(name, default="linear", tooltip=tooltip)


def clip_outputs() -> list[Any]:
    """What a node that makes a clip puts out."""
    return [
        io.Image.Output(display_name="frames"),
        io.Video.Output(display_name="video"),
        io.String.Output(display_name="manifest", tooltip="How the clip was made, as JSON."),
    ]
