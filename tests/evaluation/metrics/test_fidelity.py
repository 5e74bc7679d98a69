"""Distance to the true clip: closed forms, scikit-image's figures, and what must rank above what."""

from __future__ import annotations

import numpy as np
import pytest
from distortions import blurred, cross_dissolve, frozen, noisy, shuffled
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.clip_metric import Sample

CLIPS = [make_clip(seed, num_frames=8).frames for seed in range(4)]


def mean_score(name: str, spoil=lambda clip: clip) -> float:
    metric = open_metric(name)
    return float(np.mean([metric.score(Sample(spoil(clip), clip)) for clip in CLIPS]))


def test_psnr_is_the_closed_form_over_the_frames_in_its_name() -> None:
    truth = np.full((5, 16, 16, 3), 100, np.uint8)
    frames = truth.copy()
    frames[1:-1] += 10  # squared error 100
    assert open_metric("psnr[inner]").score(Sample(frames, truth)) == pytest.approx(10 * np.log10(255**2 / 100))
    best = 10 * np.log10(255**2 * 12)  # rounding to whole levels leaves a squared error of 1/12
    mean = (3 * 10 * np.log10(255**2 / 100) + 2 * best) / 5
    assert open_metric("psnr[all]").score(Sample(frames, truth)) == pytest.approx(mean)


def test_psnr_and_ssim_agree_with_scikit_image() -> None:
    clip, spoiled = CLIPS[0], noisy(CLIPS[0])
    psnr = [peak_signal_noise_ratio(a, b) for a, b in zip(clip[1:-1], spoiled[1:-1], strict=True)]
    settings = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = [structural_similarity(a, b, **settings) for a, b in zip(clip[1:-1], spoiled[1:-1], strict=True)]
    sample = Sample(spoiled, clip)
    assert open_metric("psnr[inner]").score(sample) == pytest.approx(np.mean(psnr), abs=1e-4)
    assert open_metric("ssim[inner]").score(sample) == pytest.approx(np.mean(ssim), abs=1e-4)


def slightly_blurred(clip):
    return blurred(clip, 0.7)


@pytest.mark.parametrize("name", ["psnr[inner]", "psnr[all]", "ssim[inner]"])
def test_spoiled_clips_rank_below_clean_ones_and_the_wrong_place_below_blur(name: str) -> None:
    clean = mean_score(name)
    blur, dissolved = mean_score(name, slightly_blurred), mean_score(name, cross_dissolve)
    assert clean > blur > dissolved
    assert blur > mean_score(name, frozen)
    assert clean > mean_score(name, noisy)
    if name.endswith("[inner]"):  # with the ends in, exact ones lift a shuffled clip over a blurred one
        assert blur > mean_score(name, shuffled)


def test_sharpness_falls_with_blur_and_rises_with_noise() -> None:
    soft, softer = (mean_score("sharpness", lambda clip, s=s: blurred(clip, s)) for s in (0.7, 1.5))
    assert softer < soft < 0.9
    assert mean_score("sharpness") == pytest.approx(1)
    assert mean_score("sharpness", cross_dissolve) < 0.9
    assert mean_score("sharpness", noisy) > 1.5


def test_sharpness_of_a_flat_truth_is_not_a_number() -> None:
    flat = np.full((4, 16, 16, 3), 7, np.uint8)
    assert np.isnan(open_metric("sharpness").score(Sample(noisy(flat), flat)))


def test_the_endpoint_error_counts_the_ends_alone() -> None:
    clip = CLIPS[0] // 2
    frames = clip.copy()
    frames[0] += 3
    frames[-1] += 5
    frames[1:-1] = 0
    metric = open_metric("endpoint_error")
    assert metric.score(Sample(frames, clip)) == pytest.approx(4)
    assert metric.score(Sample(clip, clip)) == 0


def test_the_mean_is_over_the_clips_and_a_missing_truth_is_named() -> None:
    metric = open_metric("psnr[inner]")
    for clip in CLIPS[:2]:
        metric.update(Sample(blurred(clip), clip))
    each = [metric.score(Sample(blurred(clip), clip)) for clip in CLIPS[:2]]
    assert float(metric.compute()) == pytest.approx(np.mean(each))
    with pytest.raises(ValueError, match="truth"):
        metric.update(Sample(CLIPS[0]))
    with pytest.raises(ValueError, match="expected a sample with the true clip"):
        metric.score(Sample(CLIPS[0]))
