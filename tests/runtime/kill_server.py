"""A process that runs commands of `inbetween`, or recipes, in forks of itself, and kills them at a rename.

Reads one JSON object a line: {"arguments": [...], "folder": path, "kill": number or null, "after": bool, "signal":
number, "recipe": the script's name or null}; answers with one: {"status": of the process, below 0 for a signal,
"renames": how many there were, "said": its output}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.diffusion import pipeline
from gen_inbetween.generation import batch, demo, generate, replay, sample
from gen_inbetween.interpolation import registry
from gen_inbetween.interpolation.editing import clicks, edit_motion, retime_objects
from gen_inbetween.interpolation.retiming import retime_video
from gen_inbetween.models import loading
from gen_inbetween.runtime import files
from gen_inbetween.runtime.processes import raise_on_signals
from gen_inbetween.stylize import stylize

LOADED = (
    pipeline,
    batch,
    generate,
    replay,
    sample,
    registry,
    edit_motion,
    clicks,
    retime_objects,
    retime_video,
    loading,
    stylize,
)


def watch_renames(count: Path, kill: int | None, after: bool, number: int) -> None:
    """Count the renames of this process in a file, and send it a signal at the one with number `kill`."""
    done = 0

    def watched(rename):
        def run(*arguments, **options):
            nonlocal done
            done += 1
            count.write_bytes(str(done).encode())
            if done == kill and not after:
                os.kill(os.getpid(), number)
            result = rename(*arguments, **options)
            if done == kill and after:
                os.kill(os.getpid(), number)
            return result

        return run

    for name in ("replace", "rename"):
        setattr(os, name, watched(getattr(os, name)))
    files.exchange = watched(files.exchange)
    inner = files.replaced.__wrapped__  # its default was bound when it was defined
    inner.__defaults__ = tuple(os.replace if callable(value) else value for value in inner.__defaults__)


def quick_clip(*keyframes, method, **settings):
    """What the demo calls in place of sampling; the frames are interpolated."""
    return generate.inbetween(*keyframes, method="interpolate", interpolator="blend", num_frames=3)


def run_recipe(recipe: Any, arguments: list[str], said: Path) -> int:
    """The exit status of a script; what it says goes to a file."""
    with said.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            recipe.main(arguments)
        except SystemExit as left:
            return int(left.code or 0)
        except BaseException:
            traceback.print_exc()
            return 1
    return 0


def answer(request: dict) -> dict:
    """Run one command in a fork."""
    with tempfile.TemporaryDirectory() as folder:
        count, said = Path(folder) / "count", Path(folder) / "said"
        recipe = request.get("recipe") and import_module(request["recipe"])
        child = os.fork()
        if not child:
            os.chdir(request["folder"])
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup
            raise_on_signals()
            watch_renames(count, request["kill"], request["after"], request["signal"])
            if recipe:
                os._exit(run_recipe(recipe, request["arguments"], said))
            demo.inbetween = quick_clip
            result = CliRunner().invoke(app, request["arguments"])
            said.write_text(result.output)
            os._exit(result.exit_code)
        _, status = os.waitpid(child, 0)
        renames = int(count.read_text()) if count.exists() else 0
        text = said.read_text() if said.exists() else ""
        return {"status": os.waitstatus_to_exitcode(status), "renames": renames, "said": text}


def main() -> None:
    torch.set_num_threads(1)
    demo.PAIRS = ("walker",)
    sys.path += [str(Path(__file__).parents[2] / name) for name in ("train", "eval")]
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
