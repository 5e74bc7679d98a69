"""The pages: the examples of CONTRIBUTING run, and what the pages link to is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gen_inbetween.diffusion.methods import METHODS, find_method
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.interpolation.registry import INTERPOLATORS, load_interpolator

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("[a-z]*/*.md")),
    *(ROOT / "docs").glob("*.md"),
]
WRITTEN = [page for page in PAGES if page.parent.name not in ("notebooks", "reports", "api")]  # others are copies


@pytest.fixture
def examples() -> Iterator[dict[str, object]]:
    """The names that CONTRIBUTING's Python blocks define; the tables they add to are put back."""
    tables = [(table, dict(table)) for table in (METHODS, INTERPOLATORS)]
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL):
        assert len(block.splitlines()) < 60
        exec(block, names)
    yield names
    for table, before in tables:
        table.clear()
        table.update(before)


def test_the_examples_of_contributing_work(examples: dict[str, object]) -> None:
    method = find_method("trf-plain")
    assert method.unet_passes() == 50 * 2 * 2
    with pytest.raises(ValueError, match="takes no renoise_steps"):
        method.resolve(SamplerOptions(renoise_steps=2))
    first, second = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    later = load_interpolator("later")
    assert torch.equal(later(first, second, 0.1), second) and torch.equal(later(first, second, 0.0), first)
    steps = np.stack([np.full((4, 4, 3), level, np.uint8) for level in (0, 3, 4)])
    assert examples["MeanStep"]().score(Sample(steps)) == 2.0


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
    local = [link for link in links if not re.match(r"https?:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_commands_on_the_pages_name_files_that_exist() -> None:
    named = re.findall(
        r"\b(?:train|eval|notebooks|configs)/[\w/]+\.(?:py|yaml|ipynb)\b", " ".join(p.read_text() for p in WRITTEN)
    )
    assert named and sorted({name for name in named if not (ROOT / name).exists()}) == []


def test_the_passes_on_the_page_of_methods_are_the_methods_own() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \|.*\| (\d+) \|$", (ROOT / "docs" / "methods.md").read_text(), flags=re.MULTILINE
    )
    assert dict(rows) == {name: str(method.unet_passes()) for name, method in METHODS.items()} | {"interpolate": "0"}
