"""config.load: defaults, overrides, and the errors a person meets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import pytest

from gen_inbetween.runtime.config import ConfigError, from_mapping, load, to_mapping


@dataclass(frozen=True)
class Optimiser:
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Training:
    steps: int
    seed: int | None = None
    kind: Literal["vae", "unet"] = "unet"
    optimiser: Optimiser = field(default_factory=Optimiser)
    warm_up: Optimiser | None = None
    phases: tuple[Optimiser, ...] = ()
    named: dict[str, Optimiser] = field(default_factory=dict)


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_values_defaults_and_overrides(tmp_path):
    path = write(tmp_path, "steps: 20\noptimiser:\n  lr: 3e-4\n")
    config = load(Training, path, ["seed=7", "optimiser.betas=[0.5, 0.9]", "warm_up.lr=1"])
    assert config == Training(20, 7, "unet", Optimiser(3e-4, (0.5, 0.9)), Optimiser(1.0))
    assert from_mapping(Training, to_mapping(config)) == config


def test_null_override_clears_a_value(tmp_path):
    assert load(Training, write(tmp_path, "steps: 2\nseed: 3"), ["seed=null"]).seed is None


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("steps: 1\nsede: 3", [], r"run.yaml: unknown key 'sede'; did you mean 'seed'\?"),
        ("steps: 1\noptimiser: {lrr: 1}", [], r"unknown key 'optimiser.lrr'; did you mean 'optimiser.lr'\?"),
        ("steps: 1\nwarm_up: {zzz: 1}", [], "unknown key 'warm_up.zzz'; known here: lr, betas"),
        ("steps: 1", ["optimizer.lr=1"], r"unknown key 'optimizer'; did you mean 'optimiser'\?"),
        ("steps: 1\nphases: [{lr: 1}, {lrr: 1}]", [], r"unknown key 'phases.1.lrr'; did you mean 'phases.1.lr'\?"),
        ("steps: 1\nnamed: {a: {lrr: 1}}", [], r"unknown key 'named.a.lrr'; did you mean 'named.a.lr'\?"),
        ("sede: 1", [], r"unknown key 'sede'; did you mean 'seed'\?"),  # also where another is missing
        ("seed: 1", [], "'steps' is missing"),
        ("steps: many", [], "'steps': .*got 'many'"),
        ("steps: 1\nkind: clip", [], "'kind': .*'vae' or 'unet'"),
        ("- 1", [], "expected a mapping of settings, got list"),
        ("steps: [", [], "not valid YAML"),
        ("steps: 1", ["seed"], "expected key=value"),
        ("steps: 1", ["steps.lr=1"], "'steps' is a single value"),
    ],
)
def test_errors_say_what_and_where(tmp_path, text, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load(Training, write(tmp_path, text), overrides)


@pytest.mark.parametrize("value", [b"3", bytearray(b"3"), math.inf, math.nan])
def test_bytes_and_what_never_ends_are_no_numbers(value):
    @dataclass(frozen=True)
    class Numbers:
        steps: int = 1
        lr: float = 1.0

    for name in ("steps", "lr"):
        with pytest.raises(ConfigError, match=name):
            from_mapping(Numbers, {name: value})


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent.yaml: cannot read"):
        load(Training, tmp_path / "absent.yaml")


def test_the_caller_keeps_its_mapping():
    values = {"steps": 1, "optimiser": {"lr": 1.0}}
    from_mapping(Training, values, ["optimiser.lr=2"])
    assert values == {"steps": 1, "optimiser": {"lr": 1.0}}


LAUGHS = "&a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"
for _level in range(1, 10):
    LAUGHS = f"&a{_level} [{LAUGHS}, {', '.join([f'*a{_level - 1}'] * 9)}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"steps: {LAUGHS}", "aliases .* more than 100000 values"),
        (f"named: {{a: {LAUGHS}}}", "aliases .* more than 100000 values"),
        ("a: &a [*a]", "stands within what it names"),
        ("&a\nsteps: *a", "stands within what it names"),
        ("a: &a {<<: *a}", "stands within what it names"),
        ("steps: " + "[" * 1000, "nested too deeply"),
        ("#" * (2**20 + 1), "has more than 1 MB"),
        ("steps: !!bool x", "not what its tag"),
        ("steps: !!timestamp x", "not what its tag"),
        ("steps: 2020-99-99", "not what its tag"),
        ("steps: " + "9" * 5000, "not what its tag"),
    ],
    ids=range(11),
)
def test_settings_without_end_are_refused_at_once(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as error:
        load(Training, write(tmp_path, text))
    assert len(str(error.value)) < 500


def test_aliases_are_for_settings(tmp_path):
    text = "steps: 1\noptimiser: &one {lr: 1}\nphases: [*one, {<<: *one}]"
    assert load(Training, write(tmp_path, text)).phases == (Optimiser(1.0), Optimiser(1.0))
