"""Malformed files from strangers: whatever is wrong with one is one line in the words of the library.

Each kind of file is taken whole, and one thing in it is made wrong at a time: every key is removed, and given values of
every other kind; bytes are cut off and turned. 200 variants of each kind at least.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import picture
from interpolation_cases import TINY
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gen_inbetween.diffusion.checkpoints import load_motion, save_motion
from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.diffusion.motion_files import HEADER, MotionError
from gen_inbetween.generation import batch
from gen_inbetween.generation.earlier import EarlierClip
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.joins import bridge, loop, replay_join, retake
from gen_inbetween.generation.replay import settings_of
from gen_inbetween.interpolation import InterpolatorError, load_interpolator, registry
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4
from gen_inbetween.interpolation.networks.tiny_di import TinyDI
from gen_inbetween.interpolation.weights.detect import detect_network, load_weights, on_meta
from gen_inbetween.interpolation.weights.files import HEADER as RECORD
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.models.configs import open_configs
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.config import ConfigError
from gen_inbetween.runtime.hub import ModelError
from gen_inbetween.runtime.manifest import ManifestError, embedded
from gen_inbetween.runtime.outputs import path_beside
from gen_inbetween.runtime.traces.labels import write_label

WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1.5, float("inf"), float("nan"), "", "x\0\n", "y" * 300, [], [[]], [None], {}, {"": {}},
)  # fmt: skip
GONE = object()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key in a JSON value, outermost first."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys)[:40]:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def variants(value: Any) -> Iterator[str]:
    """The JSON of a value with one key removed or given something else, and texts that are no JSON at all."""
    for path in places(value):
        for wrong in (GONE, *WRONG):
            changed = copy.deepcopy(value)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            if wrong is GONE:
                del inner[path[-1]]
            else:
                inner[path[-1]] = wrong
            yield json.dumps(changed)
    text = json.dumps(value)
    yield from ("", "{", "[" * 5000, "null", "7", "[1]", '"x"', text[:-1], text[: len(text) // 2], text + "}")


def damages(content: bytes, count: int) -> Iterator[bytes]:
    """Bytes cut off, turned, repeated and exchanged, most of them near the beginning, where files say what they are."""
    draw = random.Random(0)
    for number in range(count):
        place = min(int(len(content) * draw.random() ** 4), len(content) - 1)
        if number % 3 == 0:
            yield content[:place]
        elif number % 3 == 1:
            yield content[:place] + bytes(draw.randrange(256) for _ in range(1 + number % 9)) + content[place:]
        else:
            size = 1 + number % 5
            yield content[:place] + bytes(draw.randrange(256) for _ in range(size)) + content[place + size :]


def try_all(attempts: list[Callable[[], Any]], errors: type[Exception] | tuple[type[Exception], ...]) -> int:
    """How many are refused, each with one of these errors; any other error fails the test."""
    refused = 0
    for attempt in attempts:
        try:
            attempt()
        except errors as error:
            message = str(error)
            assert message and len(message) < 3000 and message.isprintable(), repr(message)
            refused += 1
    return refused


def tensors_and_header(path: Path, key: str) -> tuple[dict[str, torch.Tensor], Any]:
    with safe_open(path, "pt") as file:
        return load_file(path), json.loads(file.metadata()[key])


@pytest.fixture(scope="module")
def unet(tiny_pipe):
    return tiny_pipe(motion="full").unet


def test_motion_files(unet, tmp_path):
    path = tmp_path / "motion.safetensors"
    save_motion(unet, path, {"base_model": "tiny"})
    content = path.read_bytes()
    tensors, header = tensors_and_header(path, HEADER)

    def with_header(text: str) -> Callable[[], Any]:
        return lambda: (save_file(tensors, path, {HEADER: text}), load_motion(unet, path))

    def with_bytes(data: bytes) -> Callable[[], Any]:
        return lambda: (path.write_bytes(data), load_motion(unet, path))

    del header["versions"]
    headers = [with_header(text) for text in variants(header)]
    damaged = [with_bytes(data) for data in damages(content, 120)]
    refused = try_all([*headers, *damaged], MotionError)
    assert len(headers) + len(damaged) >= 200 and refused > 150
    with_bytes(content)()


@pytest.mark.parametrize("beside", [True, False])
def test_lora_files(beside, tiny_pipe, tmp_path):
    unet = tiny_pipe(motion="lora").unet
    tensors = {f"unet.{name}": tensor.contiguous() for name, tensor in motion_state_dict(unet).items()}
    config = {
        "r": 4, "lora_alpha": 8, "alpha_pattern": {"to_v": 8}, "rank_pattern": {"to_v": 4}, "use_rslora": False,
        "use_dora": False, "base_model_name_or_path": "tiny", "target_modules": ["to_v", "to_out.0"],
    }  # fmt: skip
    path = tmp_path / "pytorch_lora_weights.safetensors"
    save_file(tensors, path, {"lora_adapter_metadata": json.dumps({f"unet.{k}": v for k, v in config.items()})})
    load_motion(unet, path)

    def with_config(text: str) -> Callable[[], Any]:
        if beside:
            return lambda: ((tmp_path / "adapter_config.json").write_text(text), load_motion(unet, path))
        return lambda: (save_file(tensors, path, {"lora_adapter_metadata": text}), load_motion(unet, path))

    patterns = ["(a+)+$", "(", "[", "*", "x" * 5000, "(?P<x>", "a{1,99999}{1,99999}"]
    configs = [*variants(config), *(json.dumps({**config, "alpha_pattern": {pattern: 8}}) for pattern in patterns)]
    assert len(configs) >= 170 and try_all([with_config(text) for text in configs], MotionError) > 50


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.long(),
        lambda tensor: tensor.bool(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor * torch.nan,
        lambda tensor: tensor + 1e20,
        lambda tensor: tensor.flatten(),
        lambda tensor: tensor[:0],
        lambda tensor: tensor[None],
        lambda tensor: tensor.sum(),
    ],
)
@pytest.mark.parametrize("kind", ["lora", "interpolator"])
def test_tensors_that_are_no_weights(kind, change, tiny_pipe, unet, tmp_path):
    path = tmp_path / "weights.safetensors"
    if kind == "lora":
        motion = tiny_pipe(motion="lora").unet
        tensors = {f"{name}": tensor for name, tensor in motion_state_dict(motion).items()}
        header = {"lora_adapter_metadata": json.dumps({"r": 4, "lora_alpha": 8})}
    else:
        tensors = IFNet(1).state_dict()
        header = {}
    name = next(name for name in tensors if name.endswith(("lora_A.weight", "conv0.0.0.weight")))
    try:
        save_file({**tensors, name: change(tensors[name]).contiguous()}, path, header)
    except KeyError as error:
        pytest.skip(f"this safetensors writes no {error}")
    with pytest.raises(MotionError if kind == "lora" else InterpolatorError):
        load_motion(unet, path) if kind == "lora" else load_interpolator(path, device="cpu")


def test_interpolator_files(tmp_path):
    path = tmp_path / "own.safetensors"
    tensors, header = tensors_and_header(registry.TINY_DI, RECORD)
    header = {key: header[key] for key in ("format_version", "kind", "network", "version")} | {"license": "none"}

    def with_header(text: str) -> Callable[[], Any]:
        return lambda: (save_file(tensors, path, {RECORD: text}), load_interpolator(path, device="cpu"))

    def with_bytes(data: bytes) -> Callable[[], Any]:
        return lambda: (path.write_bytes(data), load_interpolator(path, device="cpu"))

    headers = [with_header(text) for text in variants(header)]
    damaged = [with_bytes(data) for data in damages(registry.TINY_DI.read_bytes(), 60)]
    refused = try_all([*headers, *damaged], InterpolatorError)
    assert len(headers) + len(damaged) >= 200 and refused > 100


def test_interpolators_without_a_tensor():
    """Networks are told by their tensors; any of them may be absent or of another shape."""

    def opened(tensors: dict[str, Any], change: dict[str, Any]) -> Callable[[], Any]:
        state = {name: tensor for name, tensor in (tensors | change).items() if tensor is not None}
        return lambda: load_weights(on_meta(lambda: detect_network(state).build(1.0)), state)

    wrongs = (None, torch.ones(3), torch.ones(()))
    networks = TinyDI, lambda: IFNetV4(LAYOUTS["4.25-4.26"]), lambda: IFNet(5)
    states = [
        {name: torch.zeros(tensor.shape) for name, tensor in on_meta(net).state_dict().items()} for net in networks
    ]
    attempts = [opened(state, {name: wrong}) for state in states for name in list(state)[:23] for wrong in wrongs]
    assert len(attempts) >= 200 and try_all(attempts, InterpolatorError) > 150  # some are of the training alone


def test_pickled_weights(tmp_path):
    path = tmp_path / "flownet.pkl"
    torch.save({"model": IFNet(1, **TINY).state_dict()}, path)
    content = path.read_bytes()
    loop: dict[str, Any] = {}
    loop["model"] = loop
    objects = [loop, [], 7, "x", torch.ones(1), {"a": 1}, {"model": []}, {"model": {"model": {"model": {}}}}]
    objects += [{"state_dictFC": 1, "state_dictAT": 2}, {"state_dictFC": {}, "state_dictAT": {}}, {1: torch.ones(1)}]
    objects += [{"block0.conv0.0.0.weight": torch.ones(shape)} for shape in ((), (3,), (0, 0), (1, 1, 1, 1))]
    objects += [{f"block{n}.conv0.0.0.weight": torch.ones(4, 7, 3, 3) for n in range(last)} for last in (3, 4, 5)]

    def saved(value: Any) -> Callable[[], Any]:
        return lambda: (torch.save(value, path), load_interpolator(path, device="cpu"))

    def with_bytes(data: bytes) -> Callable[[], Any]:
        return lambda: (path.write_bytes(data), load_interpolator(path, device="cpu"))

    attempts = [*map(saved, objects), *map(with_bytes, damages(content, 190))]
    assert len(attempts) >= 200 and try_all(attempts, InterpolatorError) == len(attempts)


@pytest.mark.parametrize(
    "file", ["model_index.json", "unet/config.json", "vae/config.json", "image_encoder/config.json"]
)
def test_model_folders(file, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "model")
    path = tmp_path / "model" / file
    content = json.loads(path.read_text())

    def with_text(text: str) -> Callable[[], Any]:
        return lambda: (path.write_text(text), open_configs(resolve_model(tmp_path / "model")))

    attempts = [with_text(text) for text in variants(content)]
    assert len(attempts) >= 200 and try_all(attempts, ModelError) > 20
    with_text(json.dumps(content))()


@pytest.mark.parametrize("method", ["svd", "interpolate"])
def test_manifests(method, tiny_folder, tmp_path):
    for number in (0, 1):
        picture(number, (32, 32)).save(tmp_path / f"{number}.png")
    model = {"model": tiny_folder, "num_inference_steps": 1} if method == "svd" else {"interpolator": "nearest"}
    clip = inbetween(tmp_path / "0.png", tmp_path / "1.png", method=method, num_frames=3, progress=False, **model)
    path = tmp_path / "clip.json"

    def read(text: str) -> None:
        path.write_text(text)
        manifest = manifests.read(path)
        earlier = EarlierClip(str(path), manifest)
        settings_of(earlier, None, None)
        manifests.version_drift(manifest)
        earlier.find_keyframe("frame0", None)
        earlier.check_keyframes(clip.manifest["frames"])
        if method == "svd":
            earlier.check_weights(clip.manifest["model"], clip.manifest["motion"])
            assert earlier.memory

    whole = json.loads(json.dumps(clip.manifest))
    read(json.dumps(whole))
    attempts = [lambda text=text: read(text) for text in list(variants(whole))[::3]]
    assert len(attempts) >= 200 and try_all(attempts, (ManifestError, ConfigError)) > 100


def test_manifests_of_joins(tmp_path):
    for number in (0, 1):
        write_video([picture(7 * number + each, (32, 32)) for each in range(4)], tmp_path / str(number), 8)
    a, b, path = tmp_path / "0", tmp_path / "1", tmp_path / "clip.inbetween.json"
    drawn = {"method": "interpolate", "interpolator": "nearest", "progress": False}
    joins = [bridge(a, b, num_frames=2, **drawn), loop(a, num_frames=6, **drawn), retake(a, 1, 3, **drawn)]
    path.write_text(json.dumps(joins[0].manifest))

    def again(text: str) -> None:
        path.write_text(text)
        replay_join(path, progress=False)

    for join in joins:
        whole = json.loads(json.dumps(join.manifest))
        again(json.dumps(whole))
        parts = {name: whole.pop(name) for name in ("join", "source", "frames_sha256", "settings")}
        texts = [json.dumps(whole | json.loads(text)) for text in variants(parts) if is_object(text)]
        attempts = [lambda text=text: again(text) for text in texts[::11]]
        # what a setting refuses is a ValueError of its own
        assert len(attempts) >= 40 and try_all(attempts, ValueError) > 10
    del parts["source"]
    with pytest.raises(ManifestError, match="source: Field required"):
        again(json.dumps(whole | parts))


def is_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("gone", ["clip", "mask"])
def test_a_join_whose_file_is_gone_says_which(gone, tmp_path):
    """It was made again without its mask."""
    write_video([picture(each, (32, 32)) for each in range(5)], tmp_path / "clip", 8)
    Image.new("L", (32, 32), 255).save(tmp_path / "mask.png")
    drawn = {"method": "interpolate", "interpolator": "nearest", "progress": False}
    retake(tmp_path / "clip", 1, 3, mask=tmp_path / "mask.png", **drawn).save(tmp_path / "c.gif")
    assert replay_join(tmp_path / "c.gif", progress=False).manifest["replay"]["frames_equal"]
    (tmp_path / {"clip": "clip", "mask": "mask.png"}[gone]).rename(tmp_path / "moved")
    with pytest.raises(ManifestError, match=f"its {gone} is no longer at .*pass it again"):
        replay_join(tmp_path / "c.gif", progress=False)


def test_manifests_of_clips_that_a_batch_finds(tmp_path):
    """One that is wrong has its clip made again, or the line refused; the clip is that of the line each time."""
    for number in (0, 1):
        picture(number, (32, 32)).save(tmp_path / f"{number}.png")
    settings = {"method": "interpolate", "interpolator": "nearest", "num_frames": 3}
    row = {"frame0": "0.png", "frame1": "1.png", "out": "c.gif"}
    pair = batch.parse_row(row, 1, tmp_path / "pairs.jsonl", tmp_path, settings)
    assert [batch.make_pair(pair, "cpu", False) for _ in range(2)] == ["made", "skipped"]
    clip, beside = pair.out, path_beside(pair.out)
    whole = json.loads(json.dumps(embedded(clip)))
    parts = {name: whole.pop(name) for name in ("request", "frames", "settings")}

    def again(text: str) -> None:
        moving = [picture(number, (32, 32)) for number in (0, 1, 1)]
        moving[0].save(clip, save_all=True, append_images=moving[1:])
        beside.unlink(missing_ok=True)
        write_label(clip, text)
        batch.make_pair(pair, "cpu", False)

    texts = [json.dumps(whole | json.loads(text)) for text in variants(parts) if is_object(text)]
    attempts = [lambda text=text: again(text) for text in texts[::9]]
    assert len(attempts) >= 40
    try_all(attempts, (ManifestError, ConfigError))
