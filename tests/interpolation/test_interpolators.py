"""The one call of every interpolator: what it promises for any size and time, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.interpolation import (
    InterpolatorError,
    InterpolatorInfo,
    classical,
    interpolate_pair,
    load_interpolator,
)
from gen_inbetween.interpolation.classical import dis_flow
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.estimate import Estimate, InterpolationNetwork
from gen_inbetween.interpolation.networks.film import FilmInterpolator
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.pairs import frame_tensor, tensor_frame
from gen_inbetween.interpolation.recursive_midpoint import recursive_midpoint
from gen_inbetween.interpolation.warping import splat, warp

TINY = {"widths": (8, 8, 4), "depth": 1, "context_width": 2}
KIND_OF = {0: "midpoint", 1: "index", 5: "index+ref"}


def network_interpolator(index_channels: int, kind: str | None = None) -> NetworkInterpolator:
    torch.manual_seed(0)
    network = IFNet(index_channels, **TINY).eval()
    info = InterpolatorInfo("tiny", "IFNet", "tiny", kind or KIND_OF[index_channels], network.multiple, "none")
    return NetworkInterpolator(network, info, torch.device("cpu"))


def frames(count: int, height: int = 20, width: int = 33, batch: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(batch, 3, height, width, generator=generator) for _ in range(count)]


def psnr(image: Tensor, truth: Tensor) -> float:
    return float(-10 * (image - truth).square().mean().log10())


def clip_tensor(seed: int, num_frames: int = 5) -> tuple[Tensor, Tensor]:
    """Frames (F, 3, H, W) in [0, 1] and exact flow (F - 1, 2, H, W)."""
    clip = make_clip(seed, num_frames=num_frames)
    return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(clip.flow)


ALL = ["blend", "nearest", "dis", "dis-splat", 0, 1, 5]


@pytest.fixture(params=ALL, ids=str)
def interpolator(request):
    return load_interpolator(request.param) if isinstance(request.param, str) else network_interpolator(request.param)


def test_any_size_keeps_its_size_and_range(interpolator):
    for height, width in ((16, 16), (20, 33)):
        a, b = frames(2, height, width)
        frame = interpolator(a, b, 0.5)
        assert frame.shape == a.shape and frame.dtype == torch.float32 and not frame.requires_grad
        assert 0 <= frame.min() and frame.max() <= 1
        flows = interpolator.flows(a, b, 0.5)
        assert flows.to0.shape == flows.to1.shape == (1, 2, height, width) and flows.mask.shape == (1, 1, height, width)
        assert 0 <= flows.mask.min() and flows.mask.max() <= 1


def test_a_sample_does_not_depend_on_its_neighbours(interpolator):
    a, b = frames(2, batch=2)
    times = torch.tensor([0.25, 0.75])
    together = interpolator(a, b, times)
    for index in range(2):
        alone = interpolator(a[index : index + 1], b[index : index + 1], float(times[index]))
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-4)


def test_a_number_a_vector_and_a_flat_map_are_the_same_time(interpolator):
    a, b = frames(2)
    once = interpolator(a, b, 0.3)
    torch.testing.assert_close(interpolator(a, b, torch.tensor([0.3])), once)
    if interpolator.info.kind.startswith("index"):
        torch.testing.assert_close(interpolator(a, b, torch.full((1, 1, 20, 33), 0.3)), once)


def test_wrong_frames_and_times_are_refused(interpolator):
    a, b = frames(2)
    cases = {
        "of one size": (a, b[..., 1:], 0.5),
        "at least 16": (a[..., :15], b[..., :15], 0.5),
        "float32": (a.half(), b.half(), 0.5),
        "divide 0..255 by 255": (a * 255, b, 0.5),
        r"values from nan|values from": (a / 0 * 0, b, 0.5),
        "from 0 .* to 1 .*, got 1.5": (a, b, 1.5),
        "got nan": (a, b, float("nan")),
        r"expected t as a number, as \(1,\)": (a, b, torch.zeros(2)),
    }
    for message, (first, second, t) in cases.items():
        with pytest.raises(InterpolatorError, match=message):
            interpolator(first, second, t)


def test_only_index_kinds_take_maps_and_only_reference_kinds_take_references():
    a, b = frames(2)
    uneven = torch.linspace(0, 1, 33).expand(1, 1, 20, 33)
    timed = network_interpolator(1, "time")
    with pytest.raises(InterpolatorError, match="load them with kind='index'"):
        timed(a, b, uneven)
    with pytest.raises(InterpolatorError, match="leave ref and iters alone"):
        timed(a, b, 0.5, iters=2)
    with pytest.raises(InterpolatorError, match="leave ref and iters alone"):
        load_interpolator("dis")(a, b, 0.5, ref=(a, 0.0))
    with pytest.raises(InterpolatorError, match="iters to be 1 or more"):
        network_interpolator(5)(a, b, 0.5, iters=0)
    with pytest.raises(InterpolatorError, match="t = 0.5 only"):
        network_interpolator(0).flows(a, b, 0.25)
    indexed = network_interpolator(1)
    assert not torch.equal(indexed(a, b, uneven), indexed(a, b, 0.5))


def test_frames_are_padded_with_zeros_and_maps_with_their_ends():
    interpolator = network_interpolator(1)
    a, b = frames(2)
    uneven = torch.linspace(0, 1, 33).expand(1, 1, 20, 33)
    wide_a, wide_b = (torch.zeros(1, 3, 32, 64) for _ in range(2))
    wide_a[..., :20, :33], wide_b[..., :20, :33] = a, b
    wide_map = torch.cat((uneven[:, :, :1].expand(1, 1, 32, 33), torch.ones(1, 1, 32, 31)), 3)
    expected = interpolator.network(wide_a, wide_b, wide_map).frame[..., :20, :33]
    torch.testing.assert_close(interpolator(a, b, uneven), expected)


class Recorder(InterpolationNetwork):
    """Returns a frame that tells the calls apart, and keeps what it was given."""

    index_channels, multiple = 5, 32

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def forward(self, a: Tensor, b: Tensor, index: Tensor) -> Estimate:
        self.given.append(index)
        frame = torch.full_like(a, len(self.given) / 10)
        flat = torch.zeros(len(a), 4, *a.shape[-2:])
        return Estimate(frame, [flat], [flat[:, :1]], [frame])


def test_reference_steps_walk_from_the_reference_to_the_time():
    """InterpAny-Clearer: each step is given its map, the map of the step before, and that step's frame."""
    a, b, near = frames(3, 32, 32)
    info = InterpolatorInfo("recorder", "-", "-", "index+ref", 32, "none")
    interpolator = NetworkInterpolator(Recorder(), info, torch.device("cpu"))
    frame = interpolator(a, b, 0.9, iters=3)
    maps = [(float(index[0, 0].mean()), float(index[0, 1].mean())) for index in interpolator.network.given]
    np.testing.assert_allclose(maps, [(0.3, 0.0), (0.6, 0.3), (0.9, 0.6)], atol=1e-6)
    seen = [index[:, 2:] for index in interpolator.network.given]
    assert torch.equal(seen[0], a) and [round(float(image.mean()), 5) for image in seen[1:]] == [0.1, 0.2]
    assert torch.equal(frame, torch.full_like(a, 0.3))
    interpolator.network.given.clear()
    interpolator(a, b, 0.5, ref=(near, torch.tensor([0.7])), iters=1)
    only = interpolator.network.given[0]
    assert torch.equal(only[:, 2:], near)
    np.testing.assert_allclose([float(only[0, 0].mean()), float(only[0, 1].mean())], [0.5, 0.7], atol=1e-6)


def test_halving_reaches_any_time_and_makes_shared_halves_once():
    calls = []

    def middle(a: Tensor, b: Tensor) -> Tensor:
        calls.append((float(a), float(b)))
        return (a + b) / 2

    times = [0.0, 0.25, 0.5, 0.75, 1 / 3, 1.0, 0.004]
    found = [float(frame) for frame in recursive_midpoint(middle, torch.tensor(0.0), torch.tensor(1.0), times)]
    np.testing.assert_allclose(found, times, atol=0.005)
    assert len(calls) == len(set(calls)) and calls[0] == (0.0, 1.0) and len(calls) <= 3 + 6


def test_the_baselines_are_what_their_names_say():
    a, b = frames(2)
    torch.testing.assert_close(load_interpolator("blend")(a, b, 0.25), 0.75 * a + 0.25 * b)
    assert torch.equal(load_interpolator("nearest")(a, b, 0.49), a)
    assert torch.equal(load_interpolator("nearest")(a, b, 0.5), b)


def test_classical_flow_beats_the_blend_on_moving_things():
    dis, blend = load_interpolator("dis"), load_interpolator("blend")
    gains = []
    for seed in range(8):
        clip, _ = clip_tensor(seed)
        pair = clip[:1], clip[4:]
        for k in (1, 2):
            truth = clip[k : k + 1]
            gains.append(psnr(dis(*pair, k / 4), truth) - psnr(blend(*pair, k / 4), truth))
    assert np.mean(gains) > 3  # measured: 4.0 dB, and all of them gain
    assert np.mean([gain > 0 for gain in gains]) >= 0.8


def test_classical_flow_is_near_the_exact_one():
    clip, flow = clip_tensor(1)
    moving = flow[0].norm(dim=0) > 0.5
    found = dis_flow(clip[:1], clip[1:2])[0]
    error = (found - flow[0]).norm(dim=0)[moving].median()
    assert float(error) < 0.5 < float(flow[0].norm(dim=0)[moving].median())


def test_classical_flow_gives_the_frames_at_the_ends_and_is_symmetric_in_time():
    clip, _ = clip_tensor(3)
    a, b = clip[:1], clip[2:3]
    dis = load_interpolator("dis")
    assert psnr(dis(a, b, 0.0), a) > 60 and psnr(dis(a, b, 1.0), b) > 60
    assert psnr(dis(a, b, 0.3), dis(b, a, 0.7)) > 40
    flows = dis.flows(a, b, 0.3)
    merged = flows.mask * warp(a, flows.to0) + (1 - flows.mask) * warp(b, flows.to1)
    torch.testing.assert_close(dis(a, b, 0.3), merged.clamp(0, 1))


def test_classical_flow_is_estimated_once_for_a_pair(monkeypatch):
    clip, _ = clip_tensor(3)
    calls = []
    monkeypatch.setattr(classical, "dis_flow", lambda a, b: calls.append(1) or dis_flow(a, b))
    dis = load_interpolator("dis")
    pair = dis.pair(clip[:1], clip[2:3])
    together = [pair.at(t) for t in (0.2, 0.5, 0.8)]
    assert len(calls) == 2
    assert all(torch.equal(frame, dis(pair.a, pair.b, t)) for frame, t in zip(together, (0.2, 0.5, 0.8), strict=True))


def test_each_pixel_may_have_its_own_time():
    clip, _ = clip_tensor(1)
    a, b = clip[:1], clip[4:]
    halves = torch.zeros(1, 1, 64, 64)
    halves[..., 32:] = 1.0
    dis = load_interpolator("dis")
    mixed = dis(a, b, halves)
    assert psnr(mixed[..., :24], a[..., :24]) > 40 and psnr(mixed[..., 40:], b[..., 40:]) > 40


def test_splatting_keeps_all_weight_and_moves_it_exactly():
    values = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    weight = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    moved = splat(values, flow, weight)
    torch.testing.assert_close(moved[:, 2:, :-1, 2:], weight[:, :, 1:, :-2])
    torch.testing.assert_close(moved[:, :2, :-1, 2:], (values * weight)[:, :, 1:, :-2])
    assert float(moved[..., :2].abs().sum()) == 0
    flow[:] = 0.0
    flow[..., 8, 8] = 0.25
    assert float(splat(values, flow, weight)[:, 2].sum()) == pytest.approx(float(weight.sum()), rel=1e-6)


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        load_interpolator("dis")


def test_a_pair_becomes_a_clip_whose_ends_are_the_pair():
    clip, _ = clip_tensor(3)
    first, last = tensor_frame(clip[:1]), tensor_frame(clip[4:])
    made = interpolate_pair(first, last, 5, load_interpolator("dis"), fps=12)
    assert len(made) == 5 and made.fps == 12 and made.size == (64, 64)
    assert made[0].tobytes() == first.tobytes() and made[4].tobytes() == last.tobytes()
    truth = [psnr(frame_tensor(made[k], torch.device("cpu")), clip[k : k + 1]) for k in (1, 2, 3)]
    assert min(truth) > 20
    assert made.manifest["interpolator"]["name"] == "dis" and made.manifest["settings"]["num_frames"] == 5
    assert [len(interpolate_pair(first, last, count, load_interpolator("blend"))) for count in (2, 3)] == [2, 3]


def test_a_pair_by_midpoints_shares_its_halves(monkeypatch):
    interpolator = network_interpolator(0)
    calls = []
    forward = interpolator.network.forward
    monkeypatch.setattr(interpolator.network, "forward", lambda *given: calls.append(1) or forward(*given))
    a, b = (tensor_frame(frame) for frame in frames(2))
    assert len(interpolate_pair(a, b, 9, interpolator)) == 9
    assert len(calls) == 7  # one for each frame between; halved alone, each would take up to three


def test_pairs_that_cannot_be_are_refused():
    small, large = Image.new("RGB", (32, 32)), Image.new("RGB", (48, 32))
    blend = load_interpolator("blend")
    with pytest.raises(InterpolatorError, match="one size"):
        interpolate_pair(small, large, 5, blend)
    with pytest.raises(InterpolatorError, match="2 or more"):
        interpolate_pair(small, small, 1, blend)
    with pytest.raises(InterpolatorError, match="leave ref and iters alone"):
        interpolate_pair(small, small, 5, blend, iters=2)


def test_pictures_survive_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    image = Image.fromarray(levels)
    tensor = frame_tensor(image, torch.device("cpu"))
    assert tensor.shape == (1, 3, 16, 16) and float(tensor.min()) == 0 and float(tensor.max()) == 1
    assert tensor_frame(tensor).tobytes() == image.tobytes()
    assert tensor_frame(tensor + 0.6 / 255).getpixel((0, 0)) == (1, 1, 1)  # rounded, not cut off


class Part(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class FilmLike(nn.Module):
    """The call and the parts of the port, with a blend inside."""

    def __init__(self) -> None:
        super().__init__()
        self.extract, self.predict_flow, self.fuse = Part(), Part(), Part()

    def forward(self, x0: Tensor, x1: Tensor, batch_dt: Tensor) -> Tensor:
        assert x0.size(2) % 64 == 0 and x0.size(3) % 64 == 0
        dt = batch_dt.view(-1, 1, 1, 1)
        return self.fuse(self.extract(x0) * (1 - dt) + self.predict_flow(x1) * dt)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_film_opens_from_its_archive_and_halves(tmp_path):
    torch.jit.script(FilmLike().half()).save(str(tmp_path / "film_net_fp16.pt"))
    film = load_interpolator(tmp_path / "film_net_fp16.pt")
    assert isinstance(film, FilmInterpolator) and film.info.kind == "midpoint" and film.info.multiple == 64
    assert film.info.license == "Apache-2.0" and film.info.parameters == 3 and film.info.name == "film_net_fp16.pt"
    a, b = frames(2, 20, 70)
    torch.testing.assert_close(film(a, b, 0.25), 0.75 * a + 0.25 * b)
    with pytest.raises(InterpolatorError, match="no flows"):
        film.flows(a, b, 0.5)
    two = film(torch.cat((a, a)), torch.cat((b, b)), torch.tensor([0.25, 0.5]))
    torch.testing.assert_close(two, torch.cat((0.75 * a + 0.25 * b, 0.5 * a + 0.5 * b)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_another_torchscript_is_not_film(tmp_path):
    torch.jit.script(Part()).save(str(tmp_path / "other.pt"))
    with pytest.raises(InterpolatorError, match="not the FILM port.*found weight"):
        load_interpolator(tmp_path / "other.pt")
