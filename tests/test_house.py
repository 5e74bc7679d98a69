"""The rules of the house that a machine can check: which way imports point, and when; what the README names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "gen_inbetween"

ROOMS = (
    "runtime media diffusion data models interpolation stylize memory generation training evaluation app cli"
).split()  # each may import from those before it, and from itself where that makes no circle

LONGEST_CHAIN = 11  # of modules that import each other, one after another


def modules() -> dict[str, ast.Module]:
    """Every module of the library by its dotted name inside it; a package by its own name."""
    paths = [path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py")]
    names = {path: ".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return {name: ast.parse((LIBRARY / path).read_text()) for path, name in names.items() if name != "__init__"}


def imports_of(module: str, tree: ast.AST) -> set[str]:
    """Every module that `module` imports, at the top or inside a function, own ones as "gen_inbetween.name".

    Imports for types alone (under `if TYPE_CHECKING`) are left out: nothing runs by them.
    """
    package = ["gen_inbetween", *module.split(".")]
    if not (LIBRARY / module.replace(".", "/")).is_dir():
        package.pop()
    found: set[str] = set()
    types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    skipped = {inner for node in types for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*start, *filter(None, [node.module])])
            inside = {f"{origin}.{alias.name}" for alias in node.names}  # `from . import motion` names modules
            own = {name for name in inside if name.removeprefix("gen_inbetween.") in modules_of_library()}
            found |= own or {origin}
    return found


@cache
def modules_of_library() -> frozenset[str]:
    return frozenset(modules())


def own_imports(module: str, tree: ast.AST) -> set[str]:
    found = {name.removeprefix("gen_inbetween.") for name in imports_of(module, tree) if "gen_inbetween." in name}
    return found & modules_of_library() - {module}


@cache
def graph_of_library() -> dict[str, set[str]]:
    """Every module, and those of the library that it imports."""
    return {name: own_imports(name, tree) for name, tree in modules().items()}


def test_the_package_holds_rooms_and_nothing_else():
    entries = {path.name for path in LIBRARY.iterdir() if path.name != "__pycache__"}
    assert entries - set(ROOMS) == {"__init__.py", "py.typed"}


def test_imports_follow_the_order_of_rooms_without_circles():
    graph = dict(graph_of_library())
    height = {name: ROOMS.index(name.split(".")[0]) for name in graph}
    pairs = [(name, other) for name, others in graph.items() for other in others]
    assert [f"{name} -> {other}" for name, other in pairs if height[other] > height[name]] == []
    while graph:  # take away what imports nothing that is left; a circle stays
        free = {name for name, others in graph.items() if not others & graph.keys()}
        assert free, f"a circle of imports among {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in free}


def test_folders_and_chains_of_imports_grow_no_further():
    """At most 12 modules a folder, but those that have more already; the longest way down from any module."""
    larger = {
        "runtime": 14,
        "cli": 14,
        "generation": 14,
        "interpolation": 14,
        "stylize": 14,
        "diffusion": 13,
        "media": 13,
    }
    counts = Counter(path.parent.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.py"))
    for folder, count in counts.items():
        modules_in = count - (LIBRARY / folder / "__init__.py").is_file()
        assert modules_in <= larger.get(folder, 12), f"{folder}: split it by idea, or take a smaller number here"
    graph = graph_of_library()

    @cache
    def length(name: str) -> int:
        return 1 + max(map(length, graph[name]), default=0)

    assert max(map(length, graph)) <= LONGEST_CHAIN


def test_the_library_imports_no_script_and_no_torchvision():
    foreign = {"train", "eval", "notebooks", "tests", "torchvision"}
    for name, tree in modules().items():
        assert {origin.split(".")[0] for origin in imports_of(name, tree)} & foreign == set(), name


def test_private_members_of_diffusers_are_touched_in_one_file():
    private = re.compile(r"\._(encode_image|encode_vae_image|get_add_time_ids)\b")
    assert [path.stem for path in LIBRARY.rglob("*.py") if private.search(path.read_text())] in ([], ["conditioning"])


def test_nothing_is_called_by_a_name_that_says_nothing():
    vague = {"utils", "misc", "common", "helper", "helpers", "manager"}
    names = {part.lower() for path in ROOT.glob("gen_inbetween/**/*.py") for part in path.stem.split("_")}
    assert names & vague == set()


def loaded(code: str) -> set[str]:
    """The packages a fresh interpreter has loaded after running `code`."""
    program = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in run.stdout.split()}


def test_help_does_not_wait_for_torch():
    help_of = "from typer.testing import CliRunner\nfrom gen_inbetween.cli.__main__ import app\n"
    help_of += "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0"
    assert loaded(help_of) & {"torch", "diffusers", "transformers", "numpy", "av"} == set()
    assert loaded("import gen_inbetween") & {"torch", "diffusers"} == set()


def test_what_is_interpolated_waits_for_no_diffusers():
    assert loaded("from gen_inbetween import inbetween, replay") & {"diffusers", "transformers"} == set()
    assert loaded("import gen_inbetween.generation.batch, gen_inbetween.generation.settings") & {"torch"} == set()


def test_a_missing_file_is_told_before_torch_is_imported():
    for line in ("run gone.png b.png -o c.gif", "retime gone.mp4 --fps 60 -o c.mp4", "edit gone.mp4 -o c.gif"):
        refused = "import sys\nfrom gen_inbetween.cli.__main__ import main\n"
        refused += f"sys.argv = ['inbetween', *{line!r}.split()]\n"
        refused += "try:\n    main()\nexcept SystemExit as left:\n    assert left.code == 2\n"
        assert loaded(refused) & {"torch", "diffusers", "av"} == set(), line


def test_public_names_are_there_and_no_others():
    import gen_inbetween

    for name in dir(gen_inbetween):
        assert getattr(gen_inbetween, name) is not None
    assert set(dir(gen_inbetween)) == {*gen_inbetween.__all__, "__version__", "interpolation"}
    assert gen_inbetween.interpolation.load_interpolator and gen_inbetween.plan("pocket-2").fits
    with pytest.raises(AttributeError, match="outbetween"):
        gen_inbetween.outbetween  # noqa: B018


def test_readme_shows_every_command_and_only_those():
    from gen_inbetween.cli.__main__ import app

    commands = {info.name or info.callback.__name__ for info in app.registered_commands}
    commands |= {str(group.name) for group in app.registered_groups}
    text = (ROOT / "README.md").read_text()
    shown = set(re.findall(r"\binbetween ([a-z]+)\b", re.sub(r"import inbetween\n", "", text)))
    assert shown == commands


def test_every_setting_is_a_keyword_with_the_same_default():
    import inspect
    from dataclasses import fields

    from gen_inbetween.diffusion.options import SamplerOptions
    from gen_inbetween.generation.generate import inbetween
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.memory.options import MemoryOptions

    keywords = {name: parameter.default for name, parameter in inspect.signature(inbetween).parameters.items()}
    settings = {name: item.default for name, item in Settings.__dataclass_fields__.items()}
    options = {item.name for kind in (SamplerOptions, MemoryOptions) for item in fields(kind)}
    assert {name: settings.get(name) for name in Settings.__annotations__} == {
        name: default for name, default in keywords.items() if name in settings
    }
    assert settings.keys() == options | keywords.keys() & settings.keys()


def test_inference_configs_are_settings():
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.runtime.config import load

    paths = sorted((ROOT / "configs" / "inference").glob("*.yaml"))
    assert paths
    for path in paths:
        load(Settings, path)
        assert path.read_text().startswith("# inbetween run ") and path.name in path.read_text().splitlines()[0], path
