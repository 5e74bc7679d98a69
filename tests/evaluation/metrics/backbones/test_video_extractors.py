"""I3D and VideoMAE: read from files in their published layouts, they compute what their authors' code does."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gen_inbetween.evaluation.metrics.backbones import i3d, videomae
from gen_inbetween.runtime.hashing import file_sha256


def keep(state: object, path: Path, module: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save a made-up state where a published file is expected, and pass it off for that file."""
    torch.save(state, path)
    monkeypatch.setattr(module, "FILE", replace(module.FILE, sha256=file_sha256(path)))
    return path


class FakeI3D(nn.Module):
    """Answers as the TorchScript file does: (N, 3, F, H, W) grey levels, three switches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(400, 3, generator=torch.Generator().manual_seed(0)))

    def forward(
        self, clip: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        assert rescale and resize and return_features
        return clip.mean(dim=[2, 3, 4]) @ self.weight.T


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_i3d_is_called_as_stylegan_v_calls_it(tmp_path, monkeypatch):
    path = tmp_path / "i3d_torchscript.pt"
    torch.jit.script(FakeI3D()).save(str(path))
    monkeypatch.setattr(i3d, "FILE", replace(i3d.FILE, sha256=file_sha256(path)))
    extractor = i3d.I3D(path)
    clip = np.random.default_rng(1).integers(0, 256, (9, 20, 24, 3), np.uint8)
    features = extractor(clip)
    assert features.shape == (1, 400) and extractor.level == "clip"
    expected = clip.mean((0, 1, 2)) @ FakeI3D().weight.detach().numpy().T
    np.testing.assert_allclose(features[0], expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="9 frames or more, got 8"):
        extractor(clip[:8])


TINY = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20, "patch_size": 112}


def tiny_videomae() -> dict[str, Tensor]:
    """A state in the layout of the authors' file, with the sizes of TINY."""
    size, inner, patch = TINY["hidden_size"], TINY["intermediate_size"], TINY["patch_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (size, 3, 2, patch, patch),
        "patch_embed.proj.bias": (size,),
        "fc_norm.weight": (size,),
        "fc_norm.bias": (size,),
        "head.weight": (174, size),
        "head.bias": (174,),
    }
    for block in (f"blocks.{number}" for number in range(TINY["num_hidden_layers"])):
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.q_bias", "attn.v_bias"):
            shapes[f"{block}.{name}"] = (size,)
        shapes |= {f"{block}.attn.qkv.weight": (3 * size, size), f"{block}.attn.proj.weight": (size, size)}
        shapes |= {f"{block}.attn.proj.bias": (size,), f"{block}.mlp.fc1.weight": (inner, size)}
        shapes |= {f"{block}.mlp.fc1.bias": (inner,), f"{block}.mlp.fc2.weight": (size, inner)}
        shapes |= {f"{block}.mlp.fc2.bias": (size,)}
    generator = torch.Generator().manual_seed(2)
    return {name: torch.randn(shape, generator=generator) / 3 for name, shape in shapes.items()}


def naive_videomae(state: dict[str, Tensor], clip: Tensor) -> Tensor:
    """The authors' forward pass, written down from its description: (16, 3, 224, 224) in [0, 1] to (D,)."""
    size, heads, patch = TINY["hidden_size"], TINY["num_attention_heads"], TINY["patch_size"]

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (size,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    tubes = clip.transpose(0, 1)[None]
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    x = functional.conv3d(tubes, weight, bias, stride=(2, patch, patch)).flatten(2)[0].T
    place, channel = torch.arange(len(x), dtype=torch.float64)[:, None], torch.arange(size)
    angle = place / 10000 ** (2 * (channel // 2) / size)
    x = x + torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()
    for block in (f"blocks.{number}" for number in range(TINY["num_hidden_layers"])):
        biases = torch.cat([state[f"{block}.attn.q_bias"], torch.zeros(size), state[f"{block}.attn.v_bias"]])
        qkv = norm(x, f"{block}.norm1") @ state[f"{block}.attn.qkv.weight"].T + biases
        query, key, value = qkv.view(len(x), 3, heads, -1).permute(1, 2, 0, 3)
        attention = (query @ key.transpose(1, 2) / math.sqrt(size / heads)).softmax(-1)
        mixed = (attention @ value).transpose(0, 1).reshape(len(x), size)
        x = x + functional.linear(mixed, state[f"{block}.attn.proj.weight"], state[f"{block}.attn.proj.bias"])
        inner = functional.linear(
            norm(x, f"{block}.norm2"), state[f"{block}.mlp.fc1.weight"], state[f"{block}.mlp.fc1.bias"]
        )
        x = x + functional.linear(
            functional.gelu(inner), state[f"{block}.mlp.fc2.weight"], state[f"{block}.mlp.fc2.bias"]
        )
    return norm(x.mean(0), "fc_norm")


def test_videomae_is_the_authors_network(tmp_path, monkeypatch):
    state = tiny_videomae()
    monkeypatch.setattr(videomae, "GIANT", TINY)
    path = keep({"module": state}, tmp_path / "net.pth", videomae, monkeypatch)
    extractor = videomae.VideoMAE(path)
    clip = np.random.default_rng(3).integers(0, 256, (16, 224, 224, 3), np.uint8)
    features = extractor(clip)
    expected = naive_videomae(state, torch.from_numpy(clip).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(features[0], expected.numpy(), rtol=1e-4, atol=1e-5)
    longer = clip[np.linspace(0, 15, 31).round().astype(int)]  # twice as many frames, of which every other is taken
    np.testing.assert_allclose(extractor(longer)[0], features[0], rtol=1e-5, atol=1e-6)

    del state["blocks.1.mlp.fc2.bias"]
    with pytest.raises(ValueError, match="missing_keys.*layer.1.output.dense.bias"):
        videomae.VideoMAE(keep({"module": state}, tmp_path / "net.pth", videomae, monkeypatch))


def test_giant_is_the_published_size():
    sizes = videomae.GIANT | {
        "image_size": 14,
        "num_frames": 2,
    }  # weights do not depend on these, the time it takes does
    with torch.device("meta"):
        network = videomae.VideoMAEModel(videomae.VideoMAEConfig(use_mean_pooling=True, **sizes))
    classifier = 1408 * 174 + 174 + 2 * 1408  # and the final norm, which are not part of it
    count = sum(value.numel() for value in network.parameters()) + classifier
    assert abs(2 * count - 2_023_804_201) < 200_000  # the file holds half precision, and a little bookkeeping
