"""The measures of sets, by name. FID, KID and FVD are called so with the published network, weights and resize only."""

from __future__ import annotations

from gen_inbetween.evaluation.metrics.set_metric import SetMetric


class InceptionFrechet(SetMetric):
    """FID as pytorch-fid computes it, between the inner frames of the true and of the made clips.

    Inception pool3 (2048), bilinear resize to 299 x 299 without antialiasing. With fewer than 2048 frames the value is
    high by an amount that depends on their number: compare at equal numbers only.
    """

    name, backbone, counted = "fid_inception[inner,299]", "inception", "inner"


class InceptionFrechetAll(SetMetric):
    """FID with both keyframes counted: lower than without them, for every method is given them.

    By how much depends on the length of the clips. Papers rarely say which of the two they print.
    """

    name, backbone, counted = "fid_inception[all,299]", "inception", "all"


class InceptionKernel(SetMetric):
    """KID: the unbiased kernel distance on the features of FID, so that small sets can be compared.

    Near 0 for sets of one kind, also below it. Over the whole sets, where others average over random parts.
    """

    name, backbone, counted, formula = "kid_inception[inner,299]", "inception", "inner", "kernel"


class I3DFrechet(SetMetric):
    """FVD with I3D as in StyleGAN-V: how far the made clips are from the true ones, keyframes included.

    400 logits, bilinear resize to 224 x 224 without antialiasing, clips of nine frames or more.
    """

    name, backbone, counted = "fvd_i3d[all,224]", "i3d", "all"


class VideoMAEFrechet(SetMetric):
    """FVD with VideoMAE as in content-debiased FVD, which the paper cites: weighs motion more than I3D does.

    1408 features, bilinear resize to 224 x 224 without antialiasing, keyframes included. The network takes sixteen
    frames: those at equal steps stand for the clip.
    """

    name, backbone, counted = "fvd_videomae[all,224]", "videomae", "all"


class DinoFrechet(SetMetric):
    """Frechet distance between inner frames on DINOv2 features; not FID, its scale is its own.

    384 features, antialiased bilinear resize to 224 x 224.
    """

    name, backbone, counted = "fd_dinov2s[inner,224]", "dinov2s", "inner"


class DinoKernel(SetMetric):
    """Unbiased kernel distance between inner frames on DINOv2 features; near 0, also below it, for sets of one kind.

    384 features, antialiased bilinear resize to 224 x 224.
    """

    name, backbone, counted, formula = "kd_dinov2s[inner,224]", "dinov2s", "inner", "kernel"


class EfficientNetFrechet(SetMetric):
    """Frechet distance between inner frames on EfficientNet-Lite0 features; not FID, its scale is its own.

    1280 features, antialiased bilinear resize to 224 x 224.
    """

    name, backbone, counted = "fd_efficientnet_lite0[inner,224]", "efficientnet_lite0", "inner"


class EfficientNetKernel(SetMetric):
    """Unbiased kernel distance between inner frames on EfficientNet-Lite0 features; near 0 for sets of one kind.

    1280 features, antialiased bilinear resize to 224 x 224.
    """

    name, backbone, counted, formula = "kd_efficientnet_lite0[inner,224]", "efficientnet_lite0", "inner", "kernel"


class ClipDinoFrechet(SetMetric):
    """Frechet distance between clips: what DINOv2 sees on average, and how it changes along the clip; not FVD.

    96 features, see clip_features.py; antialiased bilinear resize to 224 x 224, keyframes included.
    """

    name, backbone, counted = "fd_clip_dinov2s[all,224]", "clip_dinov2s", "all"


class ClipEfficientNetFrechet(SetMetric):
    """Frechet distance between clips: what EfficientNet-Lite0 sees on average, and how it changes; not FVD.

    96 features, see clip_features.py; antialiased bilinear resize to 224 x 224, keyframes included.
    """

    name, backbone, counted = "fd_clip_efficientnet_lite0[all,224]", "clip_efficientnet_lite0", "all"


class EfficientNetFrechetHalf(SetMetric):
    """As `fd_efficientnet_lite0[inner,224]` at 112 x 112, a quarter of the work: for clips of about 64 pixels."""

    name, backbone, counted = "fd_efficientnet_lite0[inner,112]", "efficientnet_lite0_half", "inner"


class ClipEfficientNetFrechetHalf(SetMetric):
    """As `fd_clip_efficientnet_lite0[all,224]` at 112 x 112, a quarter of the work: for clips of about 64 pixels."""

    name, backbone, counted = "fd_clip_efficientnet_lite0[all,112]", "clip_efficientnet_lite0_half", "all"


METRICS = (
    InceptionFrechet,
    InceptionFrechetAll,
    InceptionKernel,
    I3DFrechet,
    VideoMAEFrechet,
    DinoFrechet,
    DinoKernel,
    EfficientNetFrechet,
    EfficientNetKernel,
    ClipDinoFrechet,
    ClipEfficientNetFrechet,
    EfficientNetFrechetHalf,
    ClipEfficientNetFrechetHalf,
)
