"""Every recipe that writes where its user says asks first: nothing of others is replaced, and no input."""

from __future__ import annotations

import argparse
import contextvars
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gen_inbetween.runtime.outputs import CLAIM, reserved
from gen_inbetween.runtime.recipe import add_output, labelled, write_findings, write_page, writing_report

ROOT = Path(__file__).resolve().parents[2]


class Written(NamedTuple):
    """A recipe: the option, what it is given, what is written then, which function does the work."""

    option: str
    name: str
    taken: tuple[str, ...]
    work: str = "report"
    more: tuple[str, ...] = ()


def page(folder: str = "", *beside: str, option: str = "--output", more: tuple[str, ...] = ()) -> Written:
    taken = ("page.md", *(f"page.{ending}" for ending in beside), *([f"page/{folder}"] if folder else []))
    return Written(option, "page.md", taken, more=more)


REPORTS = {
    "click_report": page("", "jsonl", "jpg"),
    "doubt_report": page("trials.jsonl"),
    "film_report": page("windows.jsonl"),
    "film_speed": page()._replace(work="measured"),
    "flow_claims": Written("--output", "", ("claims.md", "claims.json")),
    "flow_report": page("psnr.png"),
    "frontier": page("", "png", option="--page"),
    "gpu_check": page(option="--out"),
    "interpolator_report": page("films-256-hard.png", more=("--scores", "scores")),
    "pocket_copying": Written("--output", "page.json", ("page.json",)),
    "pocket_diagnosis": Written("--output", "page.json", ("page.json", "page.png")),
    "pocket_editions": Written(
        "--output", "", ("sheet.png", "first.json", "first_plain_0.npz"), more=("first=pocket-2",)
    ),
    "seed_choice": Written("--out", "page.json", ("page.json",), "findings"),
    "prepare": Written("--out", "list.jsonl", ("list.jsonl",), "", ("synthetic",)),
    "generate_clips": Written("--out", "clips", ("clips/a_0",), "open_pipeline", ("photos",)),
    "train_variants": Written(
        "--output", "", ("plain/backward_motion.safetensors",), "", ("--config", "variants.yaml")
    ),
}
ELSEWHERE = {"more_latents", "train_refinement"}  # tests/recipes/test_folders.py
CASES = [(recipe, taken) for recipe, written in REPORTS.items() for taken in written.taken]


def run(recipe: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """Run a recipe whose work would fail; its status is 2."""
    module, written = importlib.import_module(recipe), REPORTS[recipe]
    if written.work:
        monkeypatch.setattr(module, written.work, lambda *_, **__: pytest.fail("the work was begun"))
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as left:
        module.main([*written.more, written.option, str(folder / written.name), *options])
    assert left.value.code == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"a picture of mine")
    (tmp_path / "run.yaml").write_text(
        "model: pocket-2\noutput: out\nsteps: 2\nbatch_size: 1\ndata: {synthetic: {first_seed: 0, count: 2}}\n"
    )
    (tmp_path / "variants.yaml").write_text("base: run.yaml\noutput: out\nvariants: {other: [], plain: []}\n")
    return tmp_path


@pytest.mark.parametrize("recipe, taken", CASES)
def test_a_file_of_somebody_else_is_kept(
    recipe: str, taken: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / taken).parent.mkdir(exist_ok=True)
    (folder / taken).write_text("# mine\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run(recipe, folder, monkeypatch)
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "gen_inbetween did not make" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("recipe", [name for name, written in REPORTS.items() if written.name == "page.md"])
def test_pages_and_what_is_beside_them_have_names_of_their_own(
    recipe: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, folder, monkeypatch, REPORTS[recipe].option, str(folder / "page.png"))
    said = capsys.readouterr().err
    assert "ends in .md" in said or "also the name of what is written beside it" in said
    assert not (folder / "page.png").exists()


def test_every_recipe_that_names_an_output_is_tried() -> None:
    naming = re.compile(r'add_output\(|"--(out|output|page|sheet)"')
    recipes = [*(ROOT / "eval").glob("*.py"), *(ROOT / "train").glob("*.py")]
    assert {path.stem for path in recipes if naming.search(path.read_text())} == REPORTS.keys() | ELSEWHERE


def writing(*words: str, default: Path | None = None, **options: object) -> Callable[[Callable[[Path], None]], None]:
    """Write a report as a recipe does."""
    parser = argparse.ArgumentParser()
    add_output(parser, default)
    given = parser.parse_args(words)

    def write(work: Callable[[Path], None]) -> None:
        with writing_report(parser, given, **options):
            work(given.output)

    return write


def one_page(path: Path) -> None:
    write_page(path, ["# Measured\n", "", "figures -->"])


@pytest.mark.parametrize("name", ["click_lists", "count_footprints", "training_memory"])
def test_a_recipe_without_options_that_is_asked_for_help_does_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = importlib.import_module(name)
    monkeypatch.setattr("sys.argv", [f"eval/{name}.py", "--help"])
    with pytest.raises(SystemExit) as left:
        recipe.main()
    assert left.value.code == 0 and f"python eval/{name}.py" in capsys.readouterr().out


def test_a_report_replaces_its_own_page_until_somebody_edits_it(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    write = writing("--output", str(file))
    write(one_page)
    text = file.read_text()
    assert text.startswith("# Measured\n\nfigures -->\n<!-- made by gen_inbetween ")
    write(one_page)
    assert file.read_text() == text
    file.write_text(text.replace("figures", "my own figures"))
    with pytest.raises(SystemExit):
        write(one_page)
    assert "my own" in file.read_text()
    writing("--output", str(file), "--overwrite")(one_page)
    assert file.read_text() == text


def test_figures_and_pictures_are_known_again(tmp_path: Path) -> None:
    from PIL import Image

    file, picture, folder = tmp_path / "page.json", tmp_path / "page.png", tmp_path / "page"

    def work(path: Path) -> None:
        write_findings(path, {"clips": 3})
        with labelled(picture) as temporary:
            Image.new("RGB", (4, 4)).save(temporary)
        (folder / "rows.jsonl").write_text("{}\n")

    for _ in range(2):
        writing("--output", str(file), beside=[picture], folders=[folder])(work)
    assert (folder / CLAIM).is_file()


def test_an_input_is_kept_whatever_it_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film, other = tmp_path / "film.md", tmp_path / "other.md"
    one_page(film)  # even one of ours
    other.hardlink_to(film)
    (tmp_path / "link.md").symlink_to(film)
    (tmp_path / "films").mkdir()
    for name in ("film.md", "other.md", "link.md"):
        with pytest.raises(SystemExit):
            writing("--output", str(tmp_path / name), "--overwrite", reads=[film])(one_page)
        assert "is an input" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        writing("--output", str(tmp_path / "films.md"), reads=[tmp_path / "films"], folders=[tmp_path / "films"])(
            one_page
        )
    assert list((tmp_path / "films").iterdir()) == []


def test_a_place_among_the_recipes_is_their_own(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# as it was before there were labels\n")
    (tmp_path / "page.png").write_bytes(b"a picture of then")
    writing(default=tmp_path / "page.md", beside=[tmp_path / "page.png"])(one_page)
    assert "Measured" in (tmp_path / "page.md").read_text()
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit):  # a folder from elsewhere is not
        writing(default=tmp_path / "page.md", folders=[tmp_path / "scores"])(one_page)


def test_a_page_that_another_run_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reserved(tmp_path / "page.md"), pytest.raises(SystemExit):
        contextvars.Context().run(writing("--output", str(tmp_path / "page.md")), one_page)
    assert "another run" in capsys.readouterr().err
