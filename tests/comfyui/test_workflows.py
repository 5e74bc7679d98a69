"""The example workflows: every node as its schema has it, every link of one type, each run to its end."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import comfyui_cases as workflows
import pytest
import tomllib
import torch
from comfyui_cases import PACK, expand
from film_cases import write_film
from PIL import Image, ImageOps

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.media.clip import Clip

FLOWS = sorted((PACK / "example_workflows").glob("*.json"))
QUICK = {"method.num_inference_steps": 2, "method.renoise_steps": 0, "minutes": 0.2, "steps": 2}
PICTURES = os.environ.get("GEN_INBETWEEN_SCREENS")  # a folder: run at full length and draw the examples' pictures there
TINY = "tiny"  # the random model of the tests, as a folder of models/diffusers
flows = pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)


def declared(io: Any, node: Any, live: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a node of ours, each choice with what it brings right behind it."""
    inputs = io.create_input_dict_v1(node.GET_SCHEMA().inputs)
    top = [*inputs["required"], *inputs.get("optional", {})]
    known, _, _ = io.get_finalized_class_inputs(inputs, live)
    flat = {**known["required"], **known["optional"]}
    for name, entry in inputs["required"].items():  # a choice that nobody made yet is not expanded
        flat.setdefault(name, entry)
    order = sorted(flat, key=lambda name: (top.index(name.split(".")[0]), "." in name))
    return {name: tuple(flat[name]) for name in order if flat[name][0] != "COMFY_AUTOGROW_V3"}


def live_of(flow: dict[str, Any], node: dict[str, Any], nodes: dict[str, Any], io: Any) -> dict[str, Any]:
    """The widgets of a node and what is connected to it, by name; links as ComfyUI's API has them."""
    links = {entry["name"]: entry["link"] for entry in node["inputs"] if entry.get("link") is not None}
    known = nodes[node["type"]]
    live = workflows.live_inputs(node, lambda chosen: declared(io, known, chosen | dict.fromkeys(links)))
    return live | {name: next(link for link in flow["links"] if link[0] == number) for name, number in links.items()}


@flows
def test_every_node_is_as_its_schema_has_it(path, nodes, comfy):
    flow = workflows.read(path)
    workflows.check_links(flow)
    for node in flow["nodes"]:
        kind = node["type"]
        if kind in workflows.CORE:
            inputs, outputs = workflows.CORE[kind]
            assert {entry["name"]: entry["type"] for entry in node["inputs"]} == inputs
            assert {each["name"]: each["type"] for each in node["outputs"]} == outputs
        elif kind != "MarkdownNote":
            schema = nodes[kind].GET_SCHEMA()
            expected = [(each.display_name, each.io_type) for each in schema.outputs]
            assert [(each["name"], each["type"]) for each in node["outputs"]] == expected
            live = live_of(flow, node, nodes, comfy.io)
            inputs = declared(comfy.io, nodes[kind], live)
            for entry in node["inputs"]:
                assert inputs.get(entry["name"], (entry["type"],))[0] == entry["type"]
            assert {name for name in inputs if "." not in name} <= {entry["name"] for entry in node["inputs"]}


def test_together_they_show_every_node(nodes):
    shown = {node["type"] for path in FLOWS for node in workflows.read(path)["nodes"]}
    assert set(nodes) <= shown


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the workflows load: two pictures, two films, a painted frame, of 64 x 64 pixels."""
    folder = tmp_path_factory.mktemp("input")
    drawn = [Image.fromarray(frame) for frame in make_clip(HELD_OUT_SEED + 3, num_frames=14, size=64).frames]
    for name, frames in (("film.mp4", drawn[:6]), ("film_2.mp4", drawn[8:])):
        write_film(folder / name, frames, tone=0.2)
    painted = ImageOps.colorize(drawn[0].convert("L"), "#1b2a6b", "#ffe2ae", mid="#c2453c")
    pictures = {"first.png": drawn[0], "last.png": drawn[-1], "painted.png": painted}

    def open_file(name: str) -> Any:
        if name not in pictures:
            return folder / name
        pixels = torch.frombuffer(bytearray(pictures[name].tobytes()), dtype=torch.uint8)
        return pixels.reshape(1, 64, 64, 3).float() / 255

    return open_file


@flows
def test_they_run(path, nodes, comfy, folders, files, tiny_folder):
    (folders / "models" / "diffusers" / TINY).symlink_to(tiny_folder)
    flow = workflows.read(path)
    put_out: dict[int, tuple[Any, ...]] = {}
    for node in workflows.in_order(flow):
        if node["type"] in workflows.CORE:
            linked = {entry["name"]: entry["link"] for entry in node["inputs"] if entry.get("link") is not None}
            links = {name: next(link for link in flow["links"] if link[0] == each) for name, each in linked.items()}
            fed = {name: put_out[link[1]][link[2]] for name, link in links.items()}
            put_out[node["id"]] = workflows.run_core(node, fed, files, comfy.latest)
            continue
        known = nodes[node["type"]]
        live = live_of(flow, node, nodes, comfy.io)
        live = {name: put_out[each[1]][each[2]] if isinstance(each, list) else each for name, each in live.items()}
        live = live if PICTURES else hurried(node["type"], live)
        with torch.inference_mode():
            put_out[node["id"]] = known.EXECUTE_NORMALIZED(**expand(comfy.io, known, live)).args
    (saved,) = (node for node in flow["nodes"] if node["type"] == "SaveVideo")
    (source,) = (link for link in flow["links"] if link[3] == saved["id"])
    video = put_out[source[1]][source[2]]
    frames = list(Clip.open(video.file)) if hasattr(video, "file") else pictures_of(video.get_components().images)
    assert len(frames) > 5
    if PICTURES:
        draw_row(frames).save(Path(PICTURES) / f"{path.stem}.jpg", quality=88)


def hurried(kind: str, live: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a node so that its run takes a second or so."""
    live = live | {name: value for name, value in QUICK.items() if name in live}
    if kind == "GenInbetweenLoadModel":
        live["model"] = TINY
    if "num_frames" in live:  # the tiny model does no more
        live["num_frames"] = min(live["num_frames"], 12)
    if live.get("method") in ("default", "gi"):  # gi needs a motion, and takes 700 passes
        live = {name: value for name, value in live.items() if not name.startswith("method")}
        live |= {"method": "vibid", "method.num_inference_steps": 2}
    return live


def pictures_of(images: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(each) for each in (images * 255).round().to(torch.uint8).numpy()]


def draw_row(frames: list[Image.Image], count: int = 8, side: int = 192, gap: int = 6) -> Image.Image:
    """Frames in a row, as the example workflows show what comes of them."""
    row = Image.new("RGB", (count * (side + gap) - gap, side), "white")
    for place in range(count):
        frame = frames[round(place * (len(frames) - 1) / (count - 1))]
        row.paste(frame.convert("RGB").resize((side, side), Image.Resampling.BICUBIC), (place * (side + gap), 0))
    return row


@flows
def test_each_has_a_picture(path):
    with Image.open(path.with_suffix(".jpg")) as picture:
        assert min(picture.size) >= 64 and path.with_suffix(".jpg").stat().st_size < 200_000


def test_every_node_has_its_page_and_every_page_its_node(nodes):
    pages = {page.stem: page.read_text() for page in (PACK / "web" / "docs").glob("*.md")}
    assert set(pages) == set(nodes)
    for name, text in pages.items():
        schema = nodes[name].GET_SCHEMA()
        assert text.startswith(f"# {schema.display_name}\n")
        told = set(re.findall(r"`(\w+)`", text))
        assert {each.id for each in schema.inputs} <= told, name
        assert {each.display_name for each in schema.outputs} <= told, name


def test_the_pack_is_what_the_registry_asks_for(nodes):
    project = tomllib.loads((PACK / "pyproject.toml").read_text())
    assert project["tool"]["comfy"]["DisplayName"] and "comfyui" not in project["project"]["name"]
    with Image.open(PACK / project["tool"]["comfy"]["Icon"]) as icon:
        assert icon.width == icon.height <= 400
    assert project["project"]["dependencies"] == (PACK / "requirements.txt").read_text().split()
    code = "\n".join(path.read_text() for path in PACK.rglob("*.py"))
    assert not re.findall(r"\b(eval|exec|subprocess|os\.system|setattr|pip|importlib|urllib|requests)\b", code)
    assert not list((PACK / "web").rglob("*.js"))


def test_inputs_and_outputs_are_of_comfyui_s_types(nodes):
    known = {
        "IMAGE", "MASK", "VIDEO", "AUDIO", "INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_AUTOGROW_V3",
        "COMFY_DYNAMICCOMBO_V3", "GEN_INBETWEEN_MODEL",
    }  # fmt: skip
    for node in nodes.values():
        schema = node.GET_SCHEMA()
        schema.validate()
        assert {each.get_io_type() for each in schema.inputs} | {each.io_type for each in schema.outputs} <= known
        assert schema.category == "video/inbetween" and schema.description and schema.node_id.startswith("GenInbetween")


def test_methods_offer_the_library_s_own_defaults(nodes):
    from gen_inbetween.diffusion.methods import METHODS

    (method,) = (each for each in nodes["GenInbetween"].GET_SCHEMA().inputs if each.id == "method")
    offered = {option.key: {each.id: each.default for each in option.inputs} for option in method.options}
    assert set(offered) == {"default"} | {name for name, each in METHODS.items() if each.motions != "forward"}
    for name, values in offered.items():
        if name != "default":
            assert {key: METHODS[name].defaults.chosen()[key] for key in values} == values
            METHODS[name].resolve(type(METHODS[name].defaults)(**values))
