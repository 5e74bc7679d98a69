"""FILM from its TorchScript archive."""

from __future__ import annotations

import pytest
import torch
from cases import picture
from torch import Tensor, nn

from gen_inbetween.interpolation import (
    InterpolatorError,
    load_interpolator,
)
from gen_inbetween.interpolation.networks.film import FilmInterpolator


def frames(count: int, height: int = 20, width: int = 33, batch: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(batch, 3, height, width, generator=generator) for _ in range(count)]


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
    film = load_interpolator(tmp_path / "film_net_fp16.pt", trust=True)
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
        load_interpolator(tmp_path / "other.pt", trust=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_runs_only_where_it_is_trusted(tmp_path, inbetween, monkeypatch):
    monkeypatch.delenv("GEN_INBETWEEN_TRUST", raising=False)
    torch.jit.script(FilmLike()).save(str(tmp_path / "film_net_fp32.pt"))
    with pytest.raises(InterpolatorError, match=r"a program that would run.*--trust.*trust=True"):
        load_interpolator(tmp_path / "film_net_fp32.pt")
    for number in (0, 1):
        picture(number, (64, 64)).save(f"{number}.png")
    line = ["run", "0.png", "1.png", "-o", "clip.gif", "--method", "interpolate", "--frames", 3]
    line += ["--interpolator", "film_net_fp32.pt"]
    status, _, said = inbetween(*line)
    assert status == 2 and "--trust" in said
    status, _, said = inbetween(*line, "--trust")
    assert status == 0, said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("trust", [True, False])
def test_a_program_under_the_name_of_safetensors_is_refused(trust, tmp_path):
    torch.jit.script(FilmLike()).save(str(tmp_path / "film.safetensors"))
    with pytest.raises(InterpolatorError, match="TorchScript program under the name of safetensors"):
        load_interpolator(tmp_path / "film.safetensors", trust=trust)
