"""The network of a style: how far it looks, and that tiles are the picture in one piece."""

from __future__ import annotations

import pytest
import torch

from gen_inbetween.stylize.network import PatchDiscriminator, StyleNetwork, translate


def network(blocks: int, head: int, inputs: int = 3) -> StyleNetwork:
    torch.manual_seed(0)
    net = StyleNetwork(inputs, (4, 6, 8, 8, 6, 4), blocks, head)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training, not the identity
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.mark.parametrize(("blocks", "head"), [(1, 3), (3, 3), (2, 7)])
def test_no_output_pixel_looks_further_than_the_reach(blocks, head):
    net = network(blocks, head)
    side = 2 * net.reach + 24
    x = torch.rand(1, 3, side, side, requires_grad=True)
    for at in (side // 2, side // 2 + 3):  # at both kinds of place within a cell of four
        (gradient,) = torch.autograd.grad(net(x)[0, :, at, at].sum(), x)
        rows = torch.nonzero(gradient[0].abs().sum((0, 2)))[:, 0]
        assert at - rows.min() <= net.reach and rows.max() - at <= net.reach


@pytest.mark.parametrize("size", [(96, 160), (101, 130), (64, 64)])
def test_tiles_are_the_picture_in_one_piece(size):
    net = network(1, 3)
    x = torch.rand(1, 3, *size) * 2 - 1
    whole = translate(net, x, tile=1024)
    assert whole.shape == x.shape
    torch.testing.assert_close(translate(net, x, tile=64), whole, rtol=1e-5, atol=1e-5)


def test_guides_are_three_more_channels_and_patches_are_judged():
    assert network(1, 3, inputs=6)(torch.zeros(2, 6, 32, 32)).shape == (2, 3, 32, 32)
    assert PatchDiscriminator()(torch.zeros(2, 3, 32, 32)).shape[:2] == (2, 1)
