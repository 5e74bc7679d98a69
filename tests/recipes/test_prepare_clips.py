"""The scripts that look through a folder of clips, and that make one from pictures."""

from __future__ import annotations

from pathlib import Path

import generate_clips
import numpy as np
import prepare_clips
import pytest
from PIL import Image
from ray_cases import QUICK

from gen_inbetween.data.clips import ClipFolder
from gen_inbetween.media.video_writer import write_video

SHAPE = {"num_frames": 4, "width": 16, "height": 16}


def picture(level: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    """A grey ramp whose mean tells which frame it is."""
    ramp = np.linspace(0, 40, size[0], dtype=np.uint8)[None, :, None].repeat(size[1], 0).repeat(3, 2)
    return Image.fromarray(ramp + np.uint8(level))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    write_video([picture(level) for level in range(20)], clips / "a" / "frames", 7)
    write_video([picture(10 * level) for level in range(9)], clips / "b.gif", 7)
    return clips


@pytest.mark.slow
def test_a_cluster_writes_the_files_of_one_process(
    folder: Path, tiny_folder: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    caches = {}
    try:
        for engine in ("local", "ray"):
            config = write_config(folder, tiny_folder, tmp_path / engine)
            with pytest.raises(SystemExit) as exit:
                prepare_clips.main(["--config", str(config), "--cache-latents", "--engine", engine])
            assert exit.value.code == 0, capsys.readouterr().err
            files = sorted((tmp_path / engine / "latents").iterdir())
            caches[engine] = [(file.name, file.read_bytes()) for file in files if file.name[0] != "."]
    finally:
        ray.shutdown()
    assert caches["local"] == caches["ray"] and len(caches["ray"]) == 2


def write_config(folder: Path, model: Path, output: Path) -> Path:
    output.mkdir(exist_ok=True)
    config = output / "run.yaml"
    config.write_text(
        f"model: {model}\noutput: {output}\nsteps: 1\nclip: {SHAPE}\n"
        f"data: {{folder: {folder}, cache: {output / 'latents'}}}\n"
    )
    return config


def test_prepare_clips_reports_and_caches(folder: Path, tiny_folder: Path, tmp_path: Path, capsys) -> None:
    (folder / "broken.mp4").write_bytes(b"not a video")
    config = write_config(folder, tiny_folder, tmp_path)
    with pytest.raises(SystemExit) as exit:
        prepare_clips.main(["--config", str(config), "--cache-latents"])
    assert exit.value.code == 1  # a file was not used
    said = capsys.readouterr().out
    assert "a/frames: 2 clips" in said and "broken.mp4: NOT USED" in said and "3 clips; 1 files give none" in said
    assert (tmp_path / "latents" / "latents.json").is_file()


def test_generate_clips_makes_a_folder_per_picture(tiny_folder: Path, tmp_path: Path, capsys) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "clips"
    pictures.mkdir()
    picture(9).save(pictures / "one.png")
    (pictures / "bad.jpg").write_bytes(b"no picture")
    command = [str(pictures), "--out", str(out), "--model", str(tiny_folder), "--frames", "4", "--steps", "1"]
    with pytest.raises(SystemExit) as exit:
        generate_clips.main([*command, "--width", "32", "--height", "24"])
    assert exit.value.code == 1 and "bad.jpg" in capsys.readouterr().err
    clips = ClipFolder(out, **SHAPE, stride=1)
    assert [file.name for file in clips.files] == ["one_0"] and len(clips) == 1
