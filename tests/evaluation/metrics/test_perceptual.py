"""Perceptual distances: LPIPS equal to torchmetrics' on the same trunk; the offline one ranks distortions."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import lpips as torchmetrics_lpips

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.backbones import lpips
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.perceptual import LpipsAlex, LpipsVgg
from gen_inbetween.models.backbones import trunks
from gen_inbetween.runtime.hashing import file_sha256


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_lpips_equals_torchmetrics(name, tmp_path, monkeypatch):
    """Same trunk, same heads, same distances; torchmetrics would take the trunk from torchvision, here it gets ours."""
    trunk = trunks.TRUNKS[name]
    torch.manual_seed(0)
    layers = trunks.build(trunk)
    weights, network = SimpleNamespace(DEFAULT=None), lambda weights: SimpleNamespace(features=layers)
    models = SimpleNamespace(alexnet=network, vgg16=network, AlexNet_Weights=weights, VGG16_Weights=weights)
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
    monkeypatch.setattr(torchmetrics_lpips._TORCHVISION_AVAILABLE, "available", True, raising=False)
    torch_load = torch.load  # the heads were saved on a GPU
    monkeypatch.setattr(torch, "load", lambda path, **options: torch_load(path, **{"map_location": "cpu"} | options))
    reference = torchmetrics_lpips._LPIPS(net=name)

    state = {f"features.{key}": value for key, value in layers.state_dict().items()} | {
        "classifier.1.bias": torch.ones(1)
    }
    torch.save(state, tmp_path / "net.pth")
    file = replace(trunk.file, sha256=file_sha256(tmp_path / "net.pth"))
    monkeypatch.setitem(trunks.TRUNKS, name, replace(trunk, file=file))
    distance = lpips.Lpips(name, tmp_path / "net.pth")
    first, second = 2 * torch.rand(2, 2, 3, 48, 40, generator=torch.Generator().manual_seed(4)) - 1
    torch.testing.assert_close(distance(first, second), reference(first, second).flatten(), rtol=1e-4, atol=1e-6)
    assert distance(first, first).abs().max() == 0 and distance(first, second).min() > 0


def test_trunks_have_the_shape_of_torchvisions_files():
    alex, vgg = (trunks.build(trunks.TRUNKS[name]).state_dict() for name in ("alex", "vgg"))
    assert list(alex) == [f"{layer}.{kind}" for layer in (0, 3, 6, 8, 10) for kind in ("weight", "bias")]
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert list(vgg) == [f"{layer}.{kind}" for layer in numbers for kind in ("weight", "bias")]
    assert tuple(alex["10.weight"].shape) == (256, 256, 3, 3) and tuple(vgg["28.weight"].shape) == (512, 512, 3, 3)


@pytest.mark.parametrize("metric_class", [LpipsAlex, LpipsVgg])
def test_lpips_compares_inner_frames_with_the_true_ones_of_their_time(metric_class, tmp_path, monkeypatch):
    trunk = trunks.TRUNKS[metric_class.trunk]
    torch.manual_seed(0)
    torch.save(
        {f"features.{key}": value for key, value in trunks.build(trunk).state_dict().items()}, tmp_path / "net.pth"
    )
    file = replace(trunk.file, sha256=file_sha256(tmp_path / "net.pth"))
    monkeypatch.setitem(trunks.TRUNKS, metric_class.trunk, replace(trunk, file=file))
    metric = metric_class(tmp_path / "net.pth")
    truth = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    made = truth.copy()
    made[0] = made[-1] = 0  # keyframes do not count
    assert metric.score(Sample(made, truth)) == 0
    made[2] = truth[1]
    images = torch.from_numpy(truth[1:3]).permute(0, 3, 1, 2) / 127.5 - 1
    expected = float(metric.network(images[:1], images[1:])) / 2  # one of two inner frames
    assert metric.score(Sample(made, truth)) == pytest.approx(expected, rel=1e-5) and expected > 0


def test_the_offline_distance_ranks_distortions():
    """Clean < blurred < more blurred, clean < less noise < more noise, and a picture of something else is far."""
    metric = open_metric("pd_efficientnet_lite0[inner]")
    clips = [make_clip(seed, num_frames=3).frames for seed in range(2)]
    blurs = [
        np.mean([metric.score(Sample(blurred(clip, sigma), clip)) for clip in clips]) for sigma in (0, 0.6, 1.2, 2.4)
    ]
    noises = [np.mean([metric.score(Sample(noisy(clip, level), clip)) for clip in clips]) for level in (4, 12, 36)]
    assert blurs == sorted(blurs) and blurs[0] == 0 and blurs[1] > 0.01
    assert noises == sorted(noises) and noises[0] > 0.001
    assert metric.score(Sample(clips[0], clips[1])) > blurs[2]
    metric.update(Sample(blurred(clips[0], 1.2), clips[0]))
    assert 0 < float(metric.compute()) < 4
    with pytest.raises(ValueError, match="needs truth"):
        metric.update(Sample(clips[0]))


def blurred(clip: np.ndarray, sigma: float) -> np.ndarray:
    return np.round(gaussian_filter(clip.astype(float), (0, sigma, sigma, 0))).astype(np.uint8)


def noisy(clip: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, level, clip.shape)
    return np.round(clip + noise).clip(0, 255).astype(np.uint8)
