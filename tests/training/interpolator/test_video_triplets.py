"""Triplets out of videos: which frames, cut and turned together, and the distance maps estimated for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from gen_inbetween.data.clips import TrainingClip
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.distance_index import estimate_distance_index
from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.training.interpolator import video_triplets
from gen_inbetween.training.interpolator.moving_layers import draw_triplets
from gen_inbetween.training.interpolator.video_triplets import (
    PickedTriplets,
    VideoTriplets,
    open_flow,
    pick,
    pick_middle,
    stack,
    with_distances,
)
from gen_inbetween.training.sample_order import seeded

SIZE = 8


def numbered(count: int = 7, height: int = 12, width: int = 16) -> Tensor:
    """Frames (F, 3, H, W) whose red says the frame, green the row and blue the column; all below 0.5."""
    red = torch.arange(count).view(-1, 1, 1, 1).expand(count, 1, height, width) / 100
    green = torch.arange(height).view(1, 1, -1, 1).expand(count, 1, height, width) / 100
    blue = torch.arange(width).view(1, 1, 1, -1).expand(count, 1, height, width) / 100
    return torch.cat((red, green, blue), 1)


def frame_numbers(picked) -> list[int]:
    return [round(float(frame[0].mean()) * 100) for frame in (picked.a, picked.target, picked.b, picked.reference)]


def draws(count: int, *, span: int | None = None, augment: tuple[str, ...] = (), frames: int = 7):
    clip = numbered(frames)
    return [pick(clip, SIZE, span, augment, seeded(0, 9, number)) for number in range(count)]


def test_any_three_frames_with_the_time_between_them() -> None:
    seen = set()
    for picked in draws(200):
        first, middle, last, reference = frame_numbers(picked)
        assert 0 <= first < middle < last < 7 and first <= reference <= last
        assert picked.time == pytest.approx((middle - first) / (last - first))
        assert picked.reference_time == pytest.approx((reference - first) / (last - first))
        seen.add((first, middle, last))
    assert len(seen) == 35  # all there are: 7 over 3
    assert {0.0, 1.0} <= {picked.reference_time for picked in draws(60)}


def test_three_frames_in_a_row_are_at_one_half() -> None:
    assert all(frame_numbers(picked)[:3] == [0, 1, 2] and picked.time == 0.5 for picked in draws(5, frames=3))


def test_frames_a_span_apart() -> None:
    numbers = [frame_numbers(picked)[:3] for picked in draws(120, span=4)]
    assert {last - first for first, _, last in numbers} == {4}
    assert Counter(first for first, _, _ in numbers).keys() == {0, 1, 2}
    assert {middle - first for first, middle, _ in numbers} == {1, 2, 3}


def test_time_runs_back_as_a_whole() -> None:
    plain, turned = draws(60, span=4), draws(60, span=4, augment=("reverse",))
    back = [number for number in range(60) if not torch.equal(plain[number].a, turned[number].a)]
    assert 15 < len(back) < 45
    for number in back:
        one, other = plain[number], turned[number]
        assert torch.equal(one.a, other.b) and torch.equal(one.b, other.a) and torch.equal(one.target, other.target)
        assert other.time == pytest.approx(1 - one.time)
        assert other.reference_time == pytest.approx(1 - one.reference_time)


@pytest.mark.parametrize(
    ("name", "undone"),
    [
        ("mirror", [lambda x: x.flip(-1)]),
        ("flip", [lambda x: x.flip(-2)]),
        ("swap", [lambda x: x.flip(0)]),
        ("turn", [lambda x, k=k: x.rot90(-k, (1, 2)) for k in (1, 2, 3)]),
    ],
)
def test_all_frames_of_a_triplet_are_turned_about_together(name: str, undone) -> None:
    kinds = set()
    for plain, turned in zip(draws(40), draws(40, augment=(name,)), strict=True):
        ways = [lambda x: x, *undone]
        pairs = list(zip(plain[:4], turned[:4], strict=True))
        fitting = [n for n, way in enumerate(ways) if all(torch.equal(one, way(other)) for one, other in pairs)]
        assert len(fitting) == 1  # the same for all four frames
        kinds.update(fitting)
    assert kinds == set(range(1 + len(undone)))


def test_crops_lie_anywhere_and_at_one_place() -> None:
    corners = set()
    for picked in draws(300):
        corner = (picked.a[1, 0, 0], picked.a[2, 0, 0])
        assert (picked.b[1, 0, 0], picked.b[2, 0, 0]) == corner
        assert picked.a.shape == (3, SIZE, SIZE)
        corners.add(tuple(round(float(value) * 100) for value in corner))
    assert {row for row, _ in corners} == set(range(5)) and {column for _, column in corners} == set(range(9))
    held_out = pick_middle(numbered(), SIZE, None, seeded(0, 9, 0))
    assert [round(float(held_out.a[channel, 0, 0]) * 100) for channel in (1, 2)] == [2, 4]


class Clips:
    faults: dict[str, str] = {}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> TrainingClip:
        return TrainingClip((numbered(3) + index / 10) * 2 - 1, 7, 127, str(index))

    def identity(self) -> dict[str, object]:
        return {}


def test_a_place_has_its_triplet_and_every_window_comes_once_an_epoch() -> None:
    drawn = PickedTriplets(Clips(), None, ("mirror",), seed=1)
    places = [drawn[place, SIZE] for place in range(8)]
    for first in (0, 4):
        windows = sorted(round(float(picked.a[0].mean()) * 10) for picked in places[first : first + 4])
        assert windows == [0, 1, 2, 3]
    assert torch.equal(drawn[5, SIZE].a, places[5].a)
    batch = stack(places[:2])
    assert batch.a.shape == (2, 3, SIZE, SIZE) and batch.index.shape == (2, 1, SIZE, SIZE)
    assert float(batch.a.min()) >= 0 and batch.time.flatten().tolist() == [0.5, 0.5]
    assert torch.equal(batch.index, torch.full((2, 1, SIZE, SIZE), 0.5))


def exact(seed: int = 0):
    """Moving layers, and the same as if they came from videos."""
    drawn = draw_triplets(torch.Generator().manual_seed(seed), 4, 64, reach=0.2, uniform=0.0)
    names = [item.name for item in fields(VideoTriplets)]
    known = {name: getattr(drawn, name) for name in names if "index" not in name}
    maps = {name: torch.zeros_like(drawn.index) for name in names if "index" in name}
    return drawn, VideoTriplets(**known, **maps)


def test_estimated_distances_are_near_the_true_ones() -> None:
    """By DIS, in the middle of things; time alone is further off, for everything has its own pace."""
    pytest.importorskip("cv2")
    away, away_time = [], []
    for seed in range(4):
        drawn, videos = exact(seed)
        estimated = with_distances(videos, open_flow("dis", torch.device("cpu")), 5, "index+ref")
        moves = drawn.between[:, :2].norm(dim=1, keepdim=True) > 4
        away.append((estimated.index - drawn.index).abs()[moves])
        away_time.append((drawn.time - drawn.index).abs()[moves])
        assert float(estimated.reference_index.min()) >= 0
    assert torch.cat(away).median() < 0.5 * torch.cat(away_time).median()


def test_a_noisy_wall_follows_the_time() -> None:
    """There the flow found is noise, and its parts have come any share of a way that is none."""
    pytest.importorskip("cv2")
    noise = 0.5 + 0.02 * torch.randn(3, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    time = torch.full((1, 1, 1, 1), 0.3)
    size = time.expand(1, 1, 64, 64)
    videos = VideoTriplets(noise[0], noise[1], noise[2], time, size, noise[1], time, size)
    trusted = estimate_distance_index(dis_flow(videos.a, videos.target), dis_flow(videos.a, videos.b), time)
    index = with_distances(videos, open_flow("dis", torch.device("cpu")), 1, "index").index
    assert 0 < (index - 0.3).abs().mean() < 0.6 * (trusted - 0.3).abs().mean()


def test_at_the_ends_the_reference_has_come_all_its_way_or_none() -> None:
    _, videos = exact()
    ends = torch.tensor([0.0, 1.0, 0.5, 0.0]).view(4, 1, 1, 1)
    videos = VideoTriplets(**{**vars(videos), "reference_time": ends})
    away = torch.rand(4, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    estimated = with_distances(videos, lambda a, b: 3 * away + a.mean() - b.mean(), 9, "index+ref")
    assert estimated.reference_index[0].max() == 0 and estimated.reference_index[1].min() == 1
    assert estimated.reference_index[2].std() > 0
    alone = with_distances(videos, lambda a, b: away, 9, "index")
    assert torch.equal(alone.reference_index, videos.reference_index)  # nobody asks for it


def test_maps_are_blurred_as_wide_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _, videos = exact()
    step = torch.zeros(4, 2, 64, 64)
    step[..., 32:] = 4.0
    videos = VideoTriplets(**{**vars(videos), "time": torch.zeros(4, 1, 1, 1) + 0.5})
    for blur in (1, 5, 9):
        flows = iter([torch.full_like(step, 4.0), step])  # half of the frame has come all its way, half is at its start
        index = with_distances(videos, lambda a, b, flows=flows: next(flows), blur, "index").index
        row = index[0, 0, 10]
        between = (row > row.min() + 1e-3) & (row < row.max() - 1e-3)
        assert int(between.sum()) == blur - 1


def test_flows_of_other_interpolators_are_those_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened:
        info = SimpleNamespace(kind="time")

        def flows(self, a, b, t):
            return type("Flows", (), {"to1": torch.full_like(a[:, :2], 3.0 + t)})

    monkeypatch.setattr(video_triplets, "load_interpolator", lambda name, device: Opened())
    a = torch.rand(1, 3, 32, 32)
    assert torch.equal(open_flow("some", torch.device("cpu"))(a, a), torch.full((1, 2, 32, 32), 3.0))
    Opened.info.kind = "midpoint"
    with pytest.raises(InterpolatorError, match="t = 0.5 only"):
        open_flow("some", torch.device("cpu"))
