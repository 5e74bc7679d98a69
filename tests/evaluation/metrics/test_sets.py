"""Measures of sets: names, torchmetrics' manners, refusals, and that each ranks distortions as it is meant to."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation import metrics
from gen_inbetween.evaluation.metrics import METRICS, UnknownMetric, open_metric
from gen_inbetween.evaluation.metrics.backbones.clip_features import ClipFeatures, projection, summarise
from gen_inbetween.evaluation.metrics.backbones.efficientnet import EfficientNetLite0, EfficientNetLite0Half
from gen_inbetween.evaluation.metrics.backbones.extractors import FeatureExtractor
from gen_inbetween.evaluation.metrics.clip_metric import ClipMetric, Family
from gen_inbetween.evaluation.metrics.frechet import frechet_distance, kernel_distance
from gen_inbetween.evaluation.metrics.set_metric import SetMetric, SetMetricSpec, TooFewClips
from gen_inbetween.evaluation.metrics.sets import METRICS as SETS
from gen_inbetween.evaluation.report.metric_info import describe_metric

pytestmark = pytest.mark.filterwarnings("ignore::gen_inbetween.evaluation.metrics.frechet.RankDeficient")
CLIPS = 8
FRECHET, KERNEL = (METRICS[f"{kind}_efficientnet_lite0[inner,224]"] for kind in ("fd", "kd"))
FRECHET_OF_CLIPS, FRECHET_HALF = (
    METRICS["fd_clip_efficientnet_lite0[all,224]"],
    METRICS["fd_efficientnet_lite0[inner,112]"],
)


class MeanColour(FeatureExtractor):
    """A network that needs no weights."""

    name, num_features, size, sha256 = "mean", 3, 224, "0" * 64

    def extract(self, frames: Tensor) -> Tensor:
        return frames.float().mean((2, 3))


class SmallEfficientNet(EfficientNetLite0):
    """The same network on smaller pictures, which a test has the time for."""

    size = 64


def random_clips(seed: int, count: int = CLIPS) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 6, 8, 3), np.uint8)


def filled(metric: SetMetric, real: np.ndarray, made: np.ndarray) -> SetMetric:
    for clip in real:
        metric.update(clip, real=True)
    for clip in made:
        metric.update(clip, real=False)
    return metric


def test_names_tell_distance_frames_and_size():
    prefixes = {"frechet": ("fid_", "fvd_", "fd_"), "kernel": ("kid_", "kd_")}
    for each in SETS:
        name = re.fullmatch(r"([a-z]+_)(\w+)\[(inner|all),(\d+)\]", each.name)
        assert name and name[1] in prefixes[each.formula] and name[3] == each.counted, each.name
        assert name[2] == each.backbone.removesuffix("_half") and each.meaning and METRICS[each.name] is each
        published = each.backbone in ("inception", "i3d", "videomae")
        assert published == name[1].startswith(("fid_", "kid_", "fvd_")), "a stand-in has a name of its own"
    for each, network in ((FRECHET, EfficientNetLite0), (FRECHET_HALF, EfficientNetLite0Half)):
        assert int(re.findall(r"\d+", each.name)[-1]) == network.size


def test_registry_names_are_unique_and_described():
    assert len(METRICS) > len(SETS) and all(name == factory.name for name, factory in METRICS.items())
    for name, factory in METRICS.items():
        assert describe_metric(name).meaning and factory.better in ("higher", "lower", "truth"), name
        assert isinstance(factory, SetMetricSpec) or issubclass(factory, ClipMetric)
        assert factory.family in get_args(Family)[:-1], name
    with pytest.raises(UnknownMetric, match=r"no metric 'fid'; did you mean fid_inception\[inner,299\]"):
        open_metric("fid")


def test_names_cost_nothing_until_they_are_asked_for():
    program = "import sys, gen_inbetween.evaluation.metrics; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "gen_inbetween.evaluation.metrics" in loaded and not {"torch", "torchmetrics", "transformers", "cv2"} & set(
        loaded
    )


def test_a_missing_extra_is_named(monkeypatch):
    def nothing(name: str, package: str) -> None:
        raise ModuleNotFoundError("No module named 'torchmetrics'", name="torchmetrics")

    monkeypatch.setattr(metrics, "import_module", nothing)
    with pytest.raises(ImportError, match=r"measuring needs torchmetrics: pip install 'gen_inbetween\[eval\]'"):
        metrics.load_metrics.__wrapped__()


@pytest.mark.parametrize(("spec", "formula"), [(FRECHET, frechet_distance), (KERNEL, kernel_distance)])
def test_inner_frames_count_and_reset_forgets(spec, formula):
    real, made = random_clips(0), random_clips(1)
    metric = filled(spec(MeanColour()), real, made)
    features = [clips[:, 1:-1].mean((2, 3)).reshape(-1, 3) for clips in (real, made)]
    assert metric.features(real[0]).shape == (3, 3) and metric.level == "frame"
    assert float(metric.compute()) == pytest.approx(formula(*features), rel=1e-4)
    metric.reset()
    assert float(filled(metric, real, real).compute()) < 1e-9


def test_clip_level_counts_every_frame_and_has_one_row():
    real, made = random_clips(2), random_clips(3)
    metric = filled(FRECHET_OF_CLIPS(ClipFeatures(MeanColour())), real, made)
    rows = [metric.features(clip) for clip in real]
    assert metric.level == "clip" and {row.shape for row in rows} == {(1, 96)}
    without_keyframes = real[0].copy()
    without_keyframes[[0, -1]] = 0
    assert not np.allclose(metric.features(without_keyframes), rows[0])
    expected = frechet_distance(np.concatenate(rows), np.concatenate([metric.features(clip) for clip in made]))
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-6)
    assert metric.features_name == "clip_mean-all-224-00000000"


def test_too_few_clips_are_refused_with_the_numbers():
    metric = filled(KERNEL(MeanColour()), random_clips(4), random_clips(5, count=7))
    with pytest.raises(
        TooFewClips, match=r"kd_efficientnet_lite0\[inner,224\] compares sets of 8 clips or more, got 7"
    ):
        metric.compute()
    with pytest.raises(ValueError, match="3 frames or more, got 2"):
        metric.features(random_clips(6)[0][:2])


def test_states_of_several_processes_are_joined():
    """Two processes with a part of the clips each: torchmetrics' own gathering, which here reads both states."""
    real, made = random_clips(7), random_clips(8)
    whole = filled(FRECHET(MeanColour()), real, made).compute()
    parts = [filled(FRECHET(MeanColour()), real[part], made[part]) for part in (slice(3), slice(3, None))]
    states = [{name: getattr(part, name) for name in part._defaults} for part in parts]
    names = iter(parts[0]._defaults)

    def gather(value: Tensor, group: object) -> list[Tensor]:
        name = next(names)
        return [torch.cat(state[name]) if isinstance(state[name], list) else state[name] for state in states]

    parts[0].dist_sync_fn, parts[0].distributed_available_fn = gather, lambda: True
    assert float(parts[0].compute()) == pytest.approx(float(whole), rel=1e-9)


# ---- Distortions -----------------------------------------------------------------------------------------------------


def blurred(clips: np.ndarray, sigma: float) -> np.ndarray:
    return np.round(gaussian_filter(clips.astype(float), (0, 0, sigma, sigma, 0))).astype(np.uint8)


def dissolved(clips: np.ndarray) -> np.ndarray:
    """A cross-fade from the first frame to the last."""
    weight = np.linspace(0, 1, clips.shape[1])[:, None, None, None]
    return np.round((1 - weight) * clips[:, :1] + weight * clips[:, -1:]).astype(np.uint8)


@pytest.fixture(scope="module")
def distances() -> dict[str, dict[str, float]]:
    """Distances from the true clips by distortion and measure, on EfficientNet features of small pictures."""
    clips = np.stack([make_clip(seed, num_frames=7, speed=3.0).frames for seed in range(CLIPS)])
    network = SmallEfficientNet()
    made = {"clean": clips, "blurred": blurred(clips, 0.6), "more": blurred(clips, 2.4), "dissolved": dissolved(clips)}
    paths = {name: [network(clip) for clip in each] for name, each in made.items()}
    orders = {"shuffled": [0, 4, 2, 5, 1, 3, 6], "frozen": [0, 0, 0, 0, 0, 0, 6], "back": [6, 5, 4, 3, 2, 1, 0]}
    for name, order in orders.items():
        paths[name] = [path[order] for path in paths["clean"]]
    matrix = projection(network.num_features)
    frames = {name: np.concatenate([path[1:-1] for path in each]) for name, each in paths.items()}
    whole = {
        name: [summarise(torch.from_numpy(path) @ matrix).numpy() for path in each] for name, each in paths.items()
    }
    return {
        name: {
            "fd": frechet_distance(frames["clean"], frames[name]),
            "kd": kernel_distance(frames["clean"], frames[name]),
            "clip": frechet_distance(whole["clean"], whole[name]),
        }
        for name in paths
    }


@pytest.mark.parametrize("measure", ["fd", "kd", "clip"])
def test_every_measure_ranks_blur_and_dissolving(distances, measure):
    ranked = [distances[name][measure] for name in ("clean", "blurred", "dissolved", "more")]
    assert ranked == sorted(ranked) and len(set(ranked)) == 4, ranked


@pytest.mark.parametrize("measure", ["fd", "kd"])
def test_frames_alone_do_not_tell_the_order(distances, measure):
    for order in ("shuffled", "back"):
        assert distances[order][measure] == pytest.approx(distances["clean"][measure], abs=1e-4)


def test_clips_do_tell_the_order(distances):
    """Shuffling and freezing are worse than a cross-fade, a reversed clip is worse than the clip."""
    clip = {name: values["clip"] for name, values in distances.items()}
    assert min(clip["shuffled"], clip["frozen"]) > clip["blurred"], clip
    assert clip["back"] > 100 * max(clip["clean"], 1e-6), clip
