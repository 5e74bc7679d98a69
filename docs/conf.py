"""Configuration of the documentation: `make docs` builds it and fails at any warning."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

project = "gen_inbetween"
author = "the gen_inbetween developers"
copyright = author
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.apidoc",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = "gen_inbetween"
html_static_path: list[str] = []
exclude_patterns = ["_build", "images/README.md"]
default_role = "code"  # in docstrings a name in single backticks is code, as in Markdown
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests run the notebooks; their committed outputs are shown
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # torch documents forward(), we document the class
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # else an attribute with a docstring of its own is described twice
suppress_warnings = ["myst.xref_missing", "ref.python", "misc.copy_overwrite"]
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True

apidoc_modules = [
    {
        "path": "../gen_inbetween",
        "destination": "api",
        "separate_modules": True,
        "module_first": True,
        "max_depth": 3,
        "exclude_patterns": ["**/__main__.py"],
    }
]


def copy_pages(app: Sphinx) -> None:
    """Notebooks and reports lie elsewhere in the repository; Sphinx reads only what lies below its own folder."""
    for name, source, pattern in (
        ("notebooks", ROOT / "notebooks", "*.ipynb"),
        ("reports", ROOT / "eval", "*.md"),
    ):
        target = DOCS / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path in sorted(source.glob(pattern)):
            shutil.copy(path, target / path.name)
            pictures = source / path.stem
            if pictures.is_dir():
                shutil.copytree(
                    pictures, target / path.stem, ignore=shutil.ignore_patterns("*.html", "*.mp4", "*.json", "*.jsonl")
                )
        for picture in (image for ending in ("png", "jpg", "webp") for image in source.glob(f"*.{ending}")):
            shutil.copy(picture, target / picture.name)


SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes):$")
CODE = re.compile(r"(`[^`]*`)")
SPECIAL = re.compile(r"\||\*|(?<=\w)_(?!\w)")  # what reStructuredText reads as substitution, emphasis, reference


def plain_to_restructured(_: Sphinx, __: str, ___: str, ____: object, _____: object, lines: list[str]) -> None:
    """Docstrings here are plain text: a block is set off by indenting it, and |x|, *x and x_ mean themselves."""
    result: list[str] = []
    literal, section = False, False
    for line in lines:
        if line.strip() and not line.startswith("    "):
            section = bool(SECTION.match(line.strip()))
            if literal and result[-1].strip():
                result.append("")
            literal = False
        elif line.strip() and not section and not literal:
            literal = True
            if result and result[-1].strip():
                result.append("")
            if not line.lstrip().startswith(">>>"):
                result += ["::", ""]
        if not literal:
            parts = CODE.split(line)
            parts[::2] = [SPECIAL.sub(lambda match: "\\" + match[0], part) for part in parts[::2]]
            line = "".join(parts)
        result.append(line)
    lines[:] = result


def setup(app: Sphinx) -> None:
    copy_pages(app)
    app.connect("autodoc-process-docstring", plain_to_restructured, priority=400)  # before napoleon rewrites sections
