"""InceptionV3 of FID (Heusel et al. 2017), as pytorch-fid has it.

It is Google's network of 2015, not torchvision's: 1008 classes, average pools that leave the padding out of the mean,
and a maximum pool in the last block. Written out here because every library that offers it (pytorch-fid, clean-fid,
torch-fidelity, and torchmetrics through it) imports torchvision, which fails beside any torch but the one it was built
for, and with torch-fidelity takes `import torchmetrics` down. Module names are those of the weights' file.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from gen_inbetween.evaluation.metrics.backbones.extractors import FrameExtractor
from gen_inbetween.models.backbones.weights import WeightsFile

FILE = WeightsFile(
    network="FID's InceptionV3",
    names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    megabytes=96,
    instead="fd_efficientnet_lite0[inner,224], kd_efficientnet_lite0[inner,224], or the same on dinov2s",
)

_average = partial(functional.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)
_maximum = partial(functional.max_pool2d, kernel_size=3, stride=1, padding=1)
_halve = partial(functional.max_pool2d, kernel_size=3, stride=2)


class Conv(nn.Module):
    """Convolution, batch norm, ReLU. Padding keeps the size, unless `valid`."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, valid: bool = False):
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid else (sides[0] // 2, sides[1] // 2)
        self.conv = nn.Conv2d(inputs, outputs, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class Square(nn.Module):
    """Mixed 5b to 5d: 1x1, 5x5, twice 3x3, pooled."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Conv(inputs, 48, 1), Conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(inputs, 64, 1), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3)
        self.branch_pool = Conv(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        branches = self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(_average(x))
        return torch.cat(branches, 1)


class Halving(nn.Module):
    """Mixed 6a: 35 to 17 pixels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(inputs, 384, 3, stride=2, valid=True)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(inputs, 64, 1), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2, valid=True)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat((self.branch3x3(x), double, _halve(x)), 1)


class Long(nn.Module):
    """Mixed 6b to 6e: convolutions of 1x7 and 7x1 in turn."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.branch1x1 = Conv(inputs, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Conv(inputs, width, 1), Conv(width, width, row)
        self.branch7x7_3 = Conv(width, 192, column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(inputs, width, 1), Conv(width, width, column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Conv(width, width, row), Conv(width, width, column)
        self.branch7x7dbl_5 = Conv(width, 192, row)
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat((self.branch1x1(x), once, twice, self.branch_pool(_average(x))), 1)


class SecondHalving(nn.Module):
    """Mixed 7a: 17 to 8 pixels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(inputs, 192, 1), Conv(192, 320, 3, stride=2, valid=True)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(inputs, 192, 1), Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = Conv(192, 192, (7, 1)), Conv(192, 192, 3, stride=2, valid=True)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat((self.branch3x3_2(self.branch3x3_1(x)), long, _halve(x)), 1)


class Wide(nn.Module):
    """Mixed 7b and 7c: rows and columns side by side; the pool is an average in 7b, a maximum in 7c."""

    def __init__(self, inputs: int, pool: partial[Tensor]) -> None:
        super().__init__()
        self.pool = pool
        self.branch1x1 = Conv(inputs, 320, 1)
        self.branch3x3_1 = Conv(inputs, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(inputs, 448, 1), Conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        once, twice = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = (
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(self.pool(x)),
        )
        return torch.cat(branches, 1)


class InceptionV3(nn.Module):
    """(N, 3, 299, 299) in [-1, 1] to the globally pooled features (N, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2, valid=True)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3, valid=True)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3, valid=True)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = Square(192, 32), Square(256, 64), Square(288, 64)
        self.Mixed_6a = Halving(288)
        self.Mixed_6b, self.Mixed_6c = Long(768, 128), Long(768, 160)
        self.Mixed_6d, self.Mixed_6e = Long(768, 160), Long(768, 192)
        self.Mixed_7a = SecondHalving(768)
        self.Mixed_7b, self.Mixed_7c = Wide(1280, _average), Wide(2048, _maximum)
        self.fc = nn.Linear(2048, 1008)  # never called: the file holds it, and is loaded whole or not at all

    def forward(self, x: Tensor) -> Tensor:
        x = _halve(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = _halve(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))


class Inception(FrameExtractor):
    """pool3 of FID (2048-d): resize of byte values to 299 x 299, bilinear, no antialiasing; then to [-1, 1].

    As pytorch-fid. torchmetrics antialiases unless told otherwise, torch-fidelity resizes as TensorFlow 1 did: FIDs of
    the three differ for pictures of other sizes.
    """

    name = "inception"
    num_features = 2048
    size = 299
    antialias = False
    shift, scale = (127.5,) * 3, (127.5,) * 3
    sha256 = FILE.sha256

    def __init__(self, weights: str | Path | None = None) -> None:
        with torch.device("meta"):  # random initial values would take longer than everything else
            network = InceptionV3()
        state = torch.load(FILE.resolve(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state, assign=True)
        super().__init__(network)

    def features(self, images: Tensor) -> Tensor:
        return self.network(images)
