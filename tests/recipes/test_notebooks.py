"""The notebooks run from top to bottom on the bundled model, and what is committed of them is what such a run shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
import run
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 4_000_000  # of all notebooks together: they are part of every clone
PLACES = re.compile(r"(?<![\w.])/(home|root|work|tmp|usr|var|private|mnt|opt|Users)/|\b[A-Z]:\\")
notebooks = pytest.mark.parametrize("path", run.NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def kinds(cells: list[NotebookNode]) -> list[list[str]]:
    """What each cell shows: the stream or the kind of data of each output."""
    return [[output.get("name") or next(iter(output.data)) for output in cell.outputs] for cell in cells]


def texts(cells: list[NotebookNode]) -> Iterator[str]:
    """All that can be read in the outputs; pictures and videos are base64, in which anything may stand by chance."""
    for output in (output for cell in cells for output in cell.outputs):
        shown = {"stdout": output.text} if "text" in output else output.data
        yield from (re.sub(r"base64,[\w+/=]+", "", text) for kind, text in shown.items() if kind != "image/png")


@pytest.fixture(scope="module")
def execute() -> Iterator[Callable[[Path], NotebookNode]]:
    """`execute(path)` in one kernel for all of them."""
    with run.open_kernel() as execute:
        yield execute


@notebooks
def test_runs_and_shows_what_is_committed(execute: Callable[[Path], NotebookNode], path: Path):
    fresh = [cell for cell in execute(path).cells if cell.cell_type == "code"]
    assert kinds(fresh) == kinds(code_cells(path)), f"python notebooks/run.py --write {path.name[:2]}"
    assert not [text for text in texts(fresh) if str(ROOT) in text or str(Path.home()) in text]


def test_a_notebook_sees_no_name_of_the_one_before(execute: Callable[[Path], NotebookNode], tmp_path: Path):
    for name, source in (("one", "left = 5"), ("two", "print('left' in globals())")):
        nbformat.write(new_notebook(cells=[new_code_cell(source)]), tmp_path / f"{name}.ipynb")
        (cell,) = execute(tmp_path / f"{name}.ipynb").cells
    assert cell.outputs[0].text == "False\n"


@notebooks
def test_committed_outputs_are_those_of_one_clean_run(path: Path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = [kind for cell in kinds(cells) for kind in cell]
    assert "image/png" in shown and set(shown) <= {"stdout", *run.SHOWN}
    assert [text for text in texts(cells) if PLACES.search(text)] == []


@notebooks
def test_links_lead_somewhere(path: Path):
    prose = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    links = [link for text in prose for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert links and [link for link in links if not (path.parent / link).exists()] == []


def test_they_are_seven_and_small():
    assert [path.name[:2] for path in run.NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07"]
    assert sum(path.stat().st_size for path in run.NOTEBOOKS) < MOST_BYTES


def test_an_exception_fails_the_notebook_and_names_it(tmp_path, monkeypatch, capsys):
    path = tmp_path / "broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("print('before')"), new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    monkeypatch.setattr(run, "NOTEBOOKS", [path])
    with pytest.raises(SystemExit) as stop:
        run.main(["--write"])
    message = capsys.readouterr().err
    assert stop.value.code == 1 and "broken.ipynb" in message and "ZeroDivisionError" in message
    assert path.read_bytes() == before


def test_an_unknown_name_is_told_what_there_is(capsys):
    with pytest.raises(SystemExit):
        run.main(["09"])
    assert "09" in (message := capsys.readouterr().err) and "01_quickstart.ipynb" in message


def test_cleaning_keeps_what_is_shown_and_nothing_of_the_machine():
    picture = {"image/png": "iVBOR", "image/jpeg": "/9j/", "text/plain": "<PIL.Image.Image at 0x7F00>"}
    outputs = [
        new_output("stream", name="stderr", text="100%|###| 5/5"),
        new_output("stream", name="stdout", text="five"),
        new_output("execute_result", data=picture, metadata={"image/png": {"width": 5}}, execution_count=1),
        new_output("display_data", data={"text/plain": "5"}),
    ]
    cell = new_code_cell("5", outputs=outputs, execution_count=1, metadata={"collapsed": True})
    notebook = run.cleaned(new_notebook(cells=[cell], metadata={"widgets": {}}))
    (cleaned,) = notebook.cells
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert kinds([cleaned]) == [["stdout", "image/png", "text/plain"]]
    assert cleaned.outputs[1].data == {"image/png": "iVBOR"}
    assert not cleaned.outputs[1].metadata and not cleaned.metadata
