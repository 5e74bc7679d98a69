"""Metrics between sets of clips, one table row each.

FID, KID and FVD are called so with the published network, weights and resize only. A row is a `SetMetricSpec`: name,
backbone, which frames count, what a report says of it; the comment says what features are compared and how.
"""

from __future__ import annotations

from gen_inbetween.evaluation.metrics.set_metric import SetMetricSpec

METRICS = (
    # Inception pool3 (2048), bilinear resize to 299 x 299 without antialiasing. With fewer than 2048 frames the value
    # is high by an amount that depends on their number: compare at equal numbers only.
    SetMetricSpec(
        "fid_inception[inner,299]", "inception", "inner",
        "FID as pytorch-fid computes it, between the inner frames of the true and of the made clips.",
    ),
    # By how much it is lower depends on the length of the clips. Papers rarely say which of the two they print.
    SetMetricSpec(
        "fid_inception[all,299]", "inception", "all",
        "FID with both keyframes counted: lower than without them, for every method is given them.",
    ),
    # Near 0 for sets of one kind, also below it. Over the whole sets, where others average over random parts.
    SetMetricSpec(
        "kid_inception[inner,299]", "inception", "inner",
        "KID: the unbiased kernel distance on the features of FID, so that small sets can be compared.",
        formula="kernel",
    ),
    # 400 logits, bilinear resize to 224 x 224 without antialiasing, clips of nine frames or more.
    SetMetricSpec(
        "fvd_i3d[all,224]", "i3d", "all",
        "FVD with I3D as in StyleGAN-V: how far the made clips are from the true ones, keyframes included.",
    ),
    # 1408 features, bilinear resize to 224 x 224 without antialiasing, keyframes included. The network takes sixteen
    # frames: those at equal steps stand for the clip.
    SetMetricSpec(
        "fvd_videomae[all,224]", "videomae", "all",
        "FVD with VideoMAE as in content-debiased FVD, which the paper cites: weighs motion more than I3D does.",
    ),
    # 384 features, antialiased bilinear resize to 224 x 224.
    SetMetricSpec(
        "fd_dinov2s[inner,224]", "dinov2s", "inner",
        "Frechet distance between inner frames on DINOv2 features; not FID, its scale is its own.",
    ),
    # 384 features, antialiased bilinear resize to 224 x 224.
    SetMetricSpec(
        "kd_dinov2s[inner,224]", "dinov2s", "inner",
        "Unbiased kernel distance between inner frames on DINOv2 features; near 0, also below it, for sets of one "
        "kind.",
        formula="kernel",
    ),
    # 1280 features, antialiased bilinear resize to 224 x 224.
    SetMetricSpec(
        "fd_efficientnet_lite0[inner,224]", "efficientnet_lite0", "inner",
        "Frechet distance between inner frames on EfficientNet-Lite0 features; not FID, its scale is its own.",
    ),
    # 1280 features, antialiased bilinear resize to 224 x 224.
    SetMetricSpec(
        "kd_efficientnet_lite0[inner,224]", "efficientnet_lite0", "inner",
        "Unbiased kernel distance between inner frames on EfficientNet-Lite0 features; near 0 for sets of one "
        "kind.",
        formula="kernel",
    ),
    # 96 features, see clip_features.py; antialiased bilinear resize to 224 x 224, keyframes included.
    SetMetricSpec(
        "fd_clip_dinov2s[all,224]", "clip_dinov2s", "all",
        "Frechet distance between clips: what DINOv2 sees on average, and how it changes along the clip; not FVD.",
    ),
    # 96 features, see clip_features.py; antialiased bilinear resize to 224 x 224, keyframes included.
    SetMetricSpec(
        "fd_clip_efficientnet_lite0[all,224]", "clip_efficientnet_lite0", "all",
        "Frechet distance between clips: what EfficientNet-Lite0 sees on average, and how it changes; not FVD.",
    ),
    SetMetricSpec(
        "fd_efficientnet_lite0[inner,112]", "efficientnet_lite0_half", "inner",
        "As `fd_efficientnet_lite0[inner,224]` at 112 x 112, a quarter of the work: for clips of about 64 pixels.",
    ),
    SetMetricSpec(
        "fd_clip_efficientnet_lite0[all,112]", "clip_efficientnet_lite0_half", "all",
        "As `fd_clip_efficientnet_lite0[all,224]` at 112 x 112, a quarter of the work: for clips of about 64 "
        "pixels.",
    ),
)  # fmt: skip
