"""VideoMAE v2 for the FVD of Ge et al. 2024.

The network is ViT-g tuned on Something-Something v2 ("On the content bias in FVD"). The file is the one `cd-fvd`
fetches. It has the layout of the authors' code; `hub_names` renames it to that of Hugging Face's `VideoMAEModel`,
which is the same network: tubelets of 2 x 14 x 14, fixed sine positions, query and value biases but none for keys. As
in cd-fvd: values in [0, 1] without mean and deviation, a plain bilinear stretch to 224 x 224, sixteen frames, the
norm of the mean over all tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import VideoMAEConfig, VideoMAEModel

from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor, resize_frames
from gen_inbetween.models.backbones.weights import CLIP_STAND_INS, WeightsFile, load_strictly

FILE = WeightsFile(
    network="content-debiased FVD's VideoMAE",
    names=("vit_g_hybrid_pt_1200e_ssv2_ft.pth",),
    url="https://huggingface.co/OpenGVLab/VideoMAE2/resolve/main/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",
    sha256="5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70",
    megabytes=2024,
    instead=CLIP_STAND_INS,
)
GIANT = {
    "hidden_size": 1408,
    "num_hidden_layers": 40,
    "num_attention_heads": 16,
    "intermediate_size": 6144,
    "patch_size": 14,
}
_PLACES = {
    "norm1": "layernorm_before",
    "attn": "attention.attention",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def hub_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's state by the names of Hugging Face's checkpoints; without the final norm and the classifier."""
    renamed = {}
    for name, value in state.items():
        layer_name, _, kind = name.rpartition(".")
        if layer_name == "patch_embed.proj":
            renamed[f"embeddings.patch_embeddings.projection.{kind}"] = value
        elif layer_name.startswith("blocks."):
            _, block, layer_name = layer_name.split(".", 2)
            layer = f"encoder.layer.{block}"
            if layer_name == "attn.qkv":
                for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                    renamed[f"{layer}.attention.attention.{part}.{kind}"] = third
            else:
                renamed[f"{layer}.{_PLACES[layer_name]}.{kind}"] = value
    return renamed


class MeanPooled(nn.Module):
    """The encoder, the mean over its tokens, the final norm: (1, 16, 3, 224, 224) in [0, 1] to (1, D)."""

    def __init__(self, state: dict[str, Tensor], **sizes: Any) -> None:
        super().__init__()
        config = VideoMAEConfig(num_frames=16, tubelet_size=2, use_mean_pooling=True, layer_norm_eps=1e-6, **sizes)
        self.encoder = load_strictly(VideoMAEModel, config, hub_names(state))
        self.norm = nn.LayerNorm(config.hidden_size, eps=1e-6)
        self.norm.load_state_dict({kind: state[f"fc_norm.{kind}"].float() for kind in ("weight", "bias")})

    def forward(self, clip: Tensor) -> Tensor:
        return self.norm(self.encoder(clip).last_hidden_state.mean(1))


class VideoMAE(FeatureExtractor):
    """Features before the classifier (1408-d). 4 GB of memory and 5 TFLOP a clip: a GPU is advised.

    The network takes sixteen frames. Clips of another length are sampled at equal steps, ends included (a frame is
    repeated where there are fewer); cd-fvd itself would cut longer clips off.
    """

    name = "videomae"
    num_features = 1408
    size = 224
    level = "clip"
    sha256 = FILE.sha256

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        state = torch.load(FILE.resolve(weights), map_location="cpu", weights_only=True)
        self.network = MeanPooled(state.get("module", state), **GIANT)
        self.train(False)

    def extract(self, frames: Tensor) -> Tensor:
        chosen = torch.linspace(0, len(frames) - 1, 16).round().long()
        images = resize_frames(frames[chosen], self.size, antialias=False)
        return self.network(images[None] / 255)
