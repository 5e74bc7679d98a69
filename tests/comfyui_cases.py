"""ComfyUI's inputs and workflows without its server: expanded, checked against schemas, run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

PACK = Path(__file__).resolve().parents[1] / "comfyui"
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
# The core nodes that the examples use: {input: type}, {output: type}, as their pages in comfyui-embedded-docs say; of
# widgets only the first ones, which a file of any recent version has.
CORE: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "LoadImage": ({"image": "COMBO"}, {"IMAGE": "IMAGE", "MASK": "MASK"}),
    "LoadVideo": ({"file": "COMBO"}, {"VIDEO": "VIDEO"}),
    "ImageBatch": ({"image1": "IMAGE", "image2": "IMAGE"}, {"IMAGE": "IMAGE"}),
    "GetVideoComponents": ({"video": "VIDEO"}, {"images": "IMAGE", "audio": "AUDIO", "fps": "FLOAT"}),
    "CreateVideo": ({"images": "IMAGE", "audio": "AUDIO", "fps": "FLOAT"}, {"VIDEO": "VIDEO"}),
    "SaveVideo": ({"video": "VIDEO", "filename_prefix": "STRING", "format": "COMBO", "codec": "COMBO"}, {}),
    "PreviewAny": ({"source": "*"}, {}),
}


def read(path: Path) -> dict[str, Any]:
    """A workflow; AssertionError: not one as the front end saves it."""
    flow = json.loads(path.read_text())
    assert flow["version"] == 0.4 and {"nodes", "links", "groups", "last_node_id", "last_link_id"} <= flow.keys()
    numbers = [node["id"] for node in flow["nodes"]]
    assert len(set(numbers)) == len(numbers) and max(numbers) == flow["last_node_id"]
    return flow


def check_links(flow: dict[str, Any]) -> None:
    """That every link goes from an output to an input of its type, and that both ends know of it."""
    nodes = {node["id"]: node for node in flow["nodes"]}
    for number, start, slot, end, entry, kind in flow["links"]:
        output, entered = nodes[start]["outputs"][slot], nodes[end]["inputs"][entry]
        assert number in output["links"] and entered["link"] == number
        assert output["type"] == kind and entered["type"] in (kind, "*"), f"link {number} of {kind}"
    ends = [entry["link"] for node in flow["nodes"] for entry in node["inputs"] if entry.get("link") is not None]
    assert sorted(ends) == sorted(link[0] for link in flow["links"])


def live_inputs(node: dict[str, Any], expand: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The widgets of a node of ours by name; expand: live inputs -> {name: (type, options)} in the schema's order."""
    values, live = list(node["widgets_values"]), {}
    while True:
        inputs = expand(live)
        name = next((name for name, (kind, _) in inputs.items() if kind in WIDGETS and name not in live), None)
        if name is None:
            break
        live[name] = values.pop(0)
        if inputs[name][1].get("control_after_generate"):
            assert values.pop(0) in ("fixed", "increment", "decrement", "randomize")
    assert not values, f"{node['type']}: {values} belong to no widget"
    return live


def in_order(flow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes, each after those that feed it; notes left away."""
    nodes = [node for node in flow["nodes"] if node["type"] != "MarkdownNote"]
    feeding = {end: {link[1] for link in flow["links"] if link[3] == end} for end in (node["id"] for node in nodes)}
    done: set[int] = set()
    while len(done) < len(nodes):
        node = next(each for each in nodes if each["id"] not in done and feeding[each["id"]] <= done)
        done.add(node["id"])
        yield node


def run_core(node: dict[str, Any], fed: dict[str, Any], files: Callable[[str], Any], latest: Any) -> tuple[Any, ...]:
    """What a core node puts out. files: the picture (an IMAGE) or the path of the film of a name."""
    kind, values = node["type"], node.get("widgets_values", [])
    if kind == "LoadImage":
        image = files(values[0])
        bright = image.amax(-1) - image.amin(-1) > 0.45  # the thing in a drawn picture, as somebody would mask it
        return image, bright.float()
    if kind == "LoadVideo":
        return (latest.InputImpl.VideoFromFile(str(files(values[0]))),)
    if kind == "ImageBatch":
        return (torch.cat([fed["image1"], fed["image2"]]),)
    if kind == "GetVideoComponents":
        from gen_inbetween.media.clip import Clip

        clip = Clip.open(fed["video"].get_stream_source())
        pixels = [torch.frombuffer(bytearray(each.tobytes()), dtype=torch.uint8) for each in clip]
        width, height = clip[0].size
        images = torch.stack(pixels).reshape(-1, height, width, 3).float() / 255
        return images, {"waveform": torch.zeros(1, 1, 480), "sample_rate": 48000}, clip.fps
    if kind == "CreateVideo":
        fps = Fraction(fed.get("fps", values[0])).limit_denominator(1001)
        parts = latest.Types.VideoComponents(fed["images"], fps, fed.get("audio"))
        return (latest.InputImpl.VideoFromComponents(parts),)
    return ()


def expand(io: Any, node: Any, live: dict[str, Any], *, linked: bool = False) -> dict[str, Any]:
    """Live inputs ("method": "gi", "method.renoise_steps": 2) as the arguments of `execute`.

    linked: the values come from other nodes, which ComfyUI hands on as they are.

    AssertionError: an input that the schema has not, a required one that is missing and has no default, a value out of
    its range.
    """
    declared = io.create_input_dict_v1(node.GET_SCHEMA().inputs)
    live = dict(live)
    for _ in range(2):  # choices first, then what they bring with them
        known, _, dynamic = io.get_finalized_class_inputs(declared, live)
        inputs = {**known["required"], **known["optional"]}
        for name, (kind, options) in inputs.items():
            if name not in live and kind == "COMFY_DYNAMICCOMBO_V3":
                live[name] = options["options"][0]["key"]
        for name, entry in declared["required"].items():
            if entry[0] == "COMFY_DYNAMICCOMBO_V3":
                live.setdefault(name, entry[1]["options"][0]["key"])
    assert not set(live) - set(inputs), f"no such input: {sorted(set(live) - set(inputs))}"
    for name, (kind, options) in inputs.items():
        if name not in live:
            if name in known["optional"] and "default" not in options:
                continue
            choices = options.get("options")
            assert "default" in options or (kind == "COMBO" and choices), f"{name} is missing"
            live[name] = options.get("default", choices[0] if choices else None)
        if not linked:
            check_value(name, kind, options, live[name])
    return io.build_nested_inputs(live, dynamic)


def check_value(name: str, kind: str, options: dict[str, Any], value: Any) -> None:
    """That a value is what its input takes, as ComfyUI checks it before a run."""
    kinds: dict[str, Any] = {"INT": int, "FLOAT": (int, float), "BOOLEAN": bool, "STRING": str}
    if kind in kinds:
        assert isinstance(value, kinds[kind]), f"{name}: {value!r} is no {kind}"
    if kind in ("INT", "FLOAT"):
        assert options.get("min", value) <= value <= options.get("max", value), f"{name}: {value} is out of range"
    if kind == "COMBO":
        assert value in options["options"], f"{name}: {value!r} is none of {options['options']}"
    if kind == "COMFY_DYNAMICCOMBO_V3":
        assert value in [option["key"] for option in options["options"]], f"{name}: no option {value!r}"
    if kind == "IMAGE":
        assert value.ndim == 4 and value.dtype == torch.float32 and value.shape[-1] in (3, 4)
    if kind == "MASK":
        assert value.ndim in (2, 3)
