"""Run the notebooks from top to bottom, each in a fresh kernel of the interpreter that runs this.

python notebooks/run.py              # do they run? Nothing is written.
python notebooks/run.py --write 02   # and keep what is shown, of those whose names begin with 02
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = Path(__file__).resolve().parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHOWN = ("image/png", "text/html", "text/markdown", "text/plain")  # the first of these that an output has is kept


class ThisInterpreter(AsyncKernelManager):
    """Starts kernels with the Python that runs this file, whichever kernels are installed for notebooks."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


@contextmanager
def open_kernel() -> Iterator[Callable[[Path], NotebookNode]]:
    """A function that executes notebooks in one new kernel, which forgets all names before each: torch is loaded once.

    It returns the notebook with fresh outputs; CellExecutionError, which shows cell and traceback, where a cell fails.
    """
    client = NotebookClient(
        new_notebook(),
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(FOLDER)}},
        timeout=600,  # seconds a cell
        coalesce_streams=True,
        record_timing=False,
    )

    def run(notebook: NotebookNode, *, counted: bool) -> NotebookNode:
        client.nb, client.store_history = notebook, counted
        return client.execute(cleanup_kc=False)

    def execute(path: Path) -> NotebookNode:
        run(new_notebook(cells=[new_code_cell("%reset -f")]), counted=False)
        return cleaned(run(nbformat.read(path, as_version=4), counted=True))

    with client.setup_kernel():
        yield execute


def execute(path: Path) -> NotebookNode:
    """The notebook with the outputs of a kernel of its own; CellExecutionError where a cell fails."""
    with open_kernel() as execute_one:
        return execute_one(path)


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """Without what differs from machine to machine: progress bars, warnings, addresses, editors' metadata."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = NotebookNode(kernelspec=kernel, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "data" in output:
                    kind = next(kind for kind in SHOWN if kind in output.data)
                    output.data, output.metadata = NotebookNode({kind: output.data[kind]}), NotebookNode()
    return notebook


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="how the names of the notebooks begin; none: all of them")
    parser.add_argument("--write", action="store_true", help="put the outputs into the files")
    given = parser.parse_args(arguments)
    chosen = [path for path in NOTEBOOKS if path.name.startswith(tuple(given.names) or "")]
    if not chosen:
        there = ", ".join(path.name for path in NOTEBOOKS)
        parser.error(f"no notebook begins with {' or '.join(given.names)}; there are {there}")
    for path in chosen:
        try:
            notebook = execute(path)
        except CellExecutionError as error:
            parser.exit(1, f"{path.name} failed:\n{error}\n")
        if given.write:
            nbformat.write(notebook, path)
        print(f"{path.name}: ran, outputs {'written' if given.write else 'not written'}")


if __name__ == "__main__":
    main()
