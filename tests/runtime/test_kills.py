"""Every writing command, killed before and after each of its renames, and run again: as if nothing had happened."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.outputs import lasting
from tests.media_cases import moving

if sys.platform == "win32":
    pytest.skip("no SIGKILL and no fork there", allow_module_level=True)

BLEND = ["--interpolator", "blend"]
LEARNT = ["--steps=3", "--minutes=60", "--set=patch_size=24", "--set=batch_size=2", "--set=perceptual=none"]
COMMANDS = {
    "run, a video": ["run", "a.png", "b.png", "-o", "out/c.mp4", "--method", "interpolate", *BLEND, "--frames", "3"],
    "run, a folder": ["run", "a.png", "b.png", "-o", "out/c", "--method", "interpolate", *BLEND, "--frames", "3"],
    "replay": ["replay", "made.gif", "-o", "out/again.webp"],
    "retime, a video": ["retime", "film.mp4", "--fps", "48", "-o", "out/c.mp4", *BLEND],
    "slowmo, an animation": ["slowmo", "film.mp4", "--scale", "2", "-o", "out/c.gif", *BLEND],
    "retime, a folder": ["retime", "film.mp4", "--fps", "48", "-o", "out/frames", *BLEND],
    "edit": [
        "edit", "a.png", "b.png", "--mask", "m.png", "--curve", "hold-end", "--frames", "3", "-o", "out/c.gif",
        "--show-masks", "out/m.png", "--interpolator", "dis",
    ],
    "batch": ["batch", "pairs.jsonl", "--out", "out", "--set", "method=interpolate", "--set", "interpolator=blend"],
    "demo": ["demo", "--out", "out"],
    "convert": ["convert", "tiny", "out/c.safetensors", "--interpolator"],
    "stylize, a video": ["stylize", "film.mp4", "--key", "1=painted.png", *LEARNT, "-o", "out/c.mp4"],
    "stylize, a folder": ["stylize", "film.mp4", "--key", "1=painted.png", *LEARNT, "-o", "out/frames"],
}  # fmt: skip


class Server:
    """`kill_server.py`, running."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("kill_server.py"))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(
        self, arguments: list[str], folder: Path, kill: int | None = None, after: bool = False, by: int = signal.SIGKILL
    ) -> dict:
        return self.ask({"arguments": arguments}, folder, kill, after, by)

    def ask(self, request: dict, folder: Path, kill: int | None = None, after: bool = False, by: int = signal.SIGKILL):
        """The answer to a request of `kill_server`."""
        request |= {"folder": str(folder), "kill": kill, "after": after, "signal": by}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with all that the commands read."""
    from gen_inbetween.interpolation.registry import TINY_DI

    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(tmp_path / name)
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    write_video(moving(4), tmp_path / "film.mp4", 24)
    moving(4)[1].transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "painted.png")
    lines = [{"frame0": "a.png", "frame1": "b.png", "out": name, "num_frames": 3} for name in ("x.gif", "x")]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "interpolator.safetensors").symlink_to(TINY_DI)
    return tmp_path


def tree(folder: Path) -> dict[str, object]:
    """What is in a folder: bytes; of manifests what lasts, of styles what was learnt."""
    files = {}
    for path in sorted(folder.rglob("*")):
        content: object = path.read_bytes() if path.is_file() else None
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            content = lasting(content) if isinstance(content, dict) else content
        elif path.name.endswith(".style.safetensors"):
            content = {name: tensor.tolist() for name, tensor in load_file(path).items()}
        files[str(path.relative_to(folder))] = content
    return files


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_killed_at_any_rename_and_run_again_leaves_what_one_that_was_not_does(server, inputs, name):
    arguments, out = COMMANDS[name], inputs / "out"
    if name == "replay":
        made = ["run", "a.png", "b.png", "-o", "made.gif", "--method", "interpolate", *BLEND, "--frames", "3"]
        assert server.run(made, inputs)["status"] == 0
        (inputs / "made.gif.inbetween.json").unlink()
    before = tree(inputs)
    unbroken = server.run(arguments, inputs)
    assert unbroken["status"] == 0, unbroken["said"]
    expected = tree(inputs)
    assert unbroken["renames"] >= 1 and len(expected) > len(before)
    assert not [file for file in expected if Path(file).name.startswith(".")]
    for number in range(1, unbroken["renames"] + 1):
        for after in (False, True):
            shutil.rmtree(out, ignore_errors=True)
            killed = server.run(arguments, inputs, number, after)
            assert killed["status"] == -9, killed
            whole = {file: content for file, content in tree(inputs).items() if "/." not in f"/{file}"}
            assert {file: expected[file] for file in whole} == whole, "what is seen is whole"
            again = server.run(arguments, inputs)
            assert again["status"] == 0, again["said"]
            assert tree(inputs) == expected, f"killed {'after' if after else 'before'} rename {number}"


@pytest.mark.parametrize("out", ["out/c.mp4", "out/c"])
def test_an_earlier_clip_stands_until_the_new_one_is_whole(server, inputs, out):
    def clip(seconds: int) -> list[str]:
        return ["retime", "film.mp4", "--fps", str(seconds), "-o", out, *BLEND]

    earlier, later = clip(30), clip(60)
    assert server.run(later, inputs)["status"] == 0
    new = tree(inputs)
    shutil.rmtree(inputs / "out")
    assert server.run(earlier, inputs)["status"] == 0
    old = tree(inputs)
    renames = server.run(later, inputs)["renames"]
    for number in range(1, renames + 1):
        shutil.rmtree(inputs / "out")
        assert server.run(earlier, inputs)["status"] == 0 and tree(inputs) == old
        assert server.run(later, inputs, number)["status"] == -9
        frames = [file for file in new if file.startswith(out) and not file.endswith(".json")]
        now = {file: content for file, content in tree(inputs).items() if file.startswith(out)}
        standing = {file: content for file, content in now.items() if not file.endswith(".json")}
        assert standing in ({file: old[file] for file in old if file in standing}, {file: new[file] for file in frames})
        assert server.run(later, inputs)["status"] == 0
        assert tree(inputs) == new


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("run, a video", "SIGINT"), ("run, a folder", "SIGTERM"), ("retime, a video", "SIGTERM"),
        ("retime, a video", "SIGHUP"), ("slowmo, an animation", "SIGHUP"), ("edit", "SIGINT"),
    ],
)  # fmt: skip
def test_a_signal_leaves_nothing_behind(server, inputs, name, by):
    before, number = tree(inputs), getattr(signal, by)
    rename = 2 if name == "edit" else 1  # the first is the picture of the masks, which is whole
    stopped = server.run(COMMANDS[name], inputs, rename, by=number)
    assert (stopped["status"], stopped["said"].splitlines()[-1]) == (128 + number, "error: interrupted")
    assert {file: content for file, content in tree(inputs).items() if file not in ("out", "out/m.png")} == before
