"""Earlier clip of a replay, as its manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.memory.options import MemoryOptions
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.manifest import ManifestError


@dataclass(frozen=True)
class EarlierClip:
    """The clip that is made again: where its manifest is, and what it says."""

    path: str
    manifest: dict[str, Any]

    @property
    def fps(self) -> float:
        """`interpolate_pair` takes any rate, which for interpolation is but a label."""
        fps: float = self.manifest["settings"]["fps"]
        return fps

    @property
    def memory(self) -> MemoryOptions:
        """Its memory options; ConfigError where the manifest has others."""
        return from_mapping(MemoryOptions, self.manifest["memory"], where=self.path)

    @property
    def compared(self) -> str:
        """What is held against the new clip's: the "latents", or the "frames" of an interpolated clip.

        ManifestError: the manifest is of another kind of work, or has no hash of either.
        """
        if "join" in self.manifest:
            raise ManifestError(
                f"{self.path}: a {self.manifest['join'].get('kind')}, which `inbetween replay` and "
                "generation.joins.replay_join make again"
            )
        method = self.manifest.get("settings", {}).get("method")
        what = "frames" if method == INTERPOLATE else "latents"
        if method not in (*METHODS, INTERPOLATE):
            raise ManifestError(
                f"{self.path}: made by {method or 'another command'}; replay makes clips of `inbetween run` and "
                "`inbetween batch` again, and of interpolate_pair: run the other command again"
            )
        if f"{what}_sha256" not in self.manifest:
            raise ManifestError(f"{self.path}: no hash of the clip's {what} in it, so nothing to compare them with")
        return what

    def find_keyframe(self, name: str, frame: Any) -> Any:
        """The keyframe, mask or draft that was given now, or else the file that the manifest names."""
        path = self.manifest["frames"][name].get("path")
        if frame is not None:
            return frame
        if path is None:
            raise ManifestError(f"{name} was given in memory, not as a file: pass it again ({name}=, or --{name} FILE)")
        if not Path(path).exists():
            raise ManifestError(f"{name} is no longer at {path}: say where it is ({name}=, or --{name} FILE)")
        return str(path)

    def check_keyframes(self, record: dict[str, dict[str, str | None]]) -> None:
        """ManifestError for a keyframe that is another picture than it was."""
        for name, frame in record.items():
            if frame["sha256"] != self.manifest["frames"][name]["sha256"]:
                picture = frame["path"] or "what was given"
                raise ManifestError(f"{name} has changed since: {picture} is not the picture the clip was made from")

    def check_weights(self, model: dict[str, Any], motion: dict[str, Any] | None) -> None:
        """ManifestError for other weights than the clip was made with."""
        for name, record in (("model", model), ("motion", motion)):
            if (record or {}).get("sha256") != (self.manifest[name] or {}).get("sha256"):
                raise ManifestError(f"the {name} has changed since: other weights than the clip was made with")
        before, now = ((record or {}).get("scale", 1) for record in (self.manifest["motion"], motion))
        if before != now:
            raise ManifestError(f"the scale of the motion was {before:g} and is {now:g}: set motion_scale={before:g}")

    def compare(self, parts: dict[str, Any]) -> dict[str, Any]:
        """The part "replay" of the new clip's manifest."""
        key = f"{self.compared}_sha256"
        return {"of": self.path, f"{self.compared}_equal": parts[key] == self.manifest[key]}
