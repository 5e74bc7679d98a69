"""YAML -> a validated frozen dataclass. A key that the dataclass does not have is an error that names the nearest one.

    @dataclass(frozen=True)
    class Optimiser:
        lr: float = 1e-4

    @dataclass(frozen=True)
    class Training:
        steps: int
        optimiser: Optimiser = Optimiser()

    config = load(Training, "configs/train/full.yaml", overrides=["steps=10", "optimiser.lr=3e-4"])

The object stays at the edge of the program: what it says is passed on as plain arguments.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from gen_inbetween.runtime.messages import nearest_names

Config = TypeVar("Config")
_adapters: dict[Any, TypeAdapter[Any]] = {}


class ConfigError(ValueError):
    """A setting that is unknown, missing or of the wrong kind; the message names the file and the key."""


def load(cls: type[Config], path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file into the (frozen, possibly nested) dataclass `cls`.

    Args:
        cls: a dataclass; its field types are checked. YAML's "1e-4", a string to it, becomes a number where one is due.
        path: a YAML file holding one mapping. An empty file means: every default.
        overrides: "key=value" or "section.key=value"; the value is read as YAML ("3", "1e-4", "[1, 2]", "null").

    Raises:
        ConfigError: the file cannot be read, is no mapping, or has an unknown, missing or ill-typed key.
    """
    return from_mapping(cls, read_mapping(path), overrides, where=str(path))


def read_mapping(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a YAML file says, not yet checked against anything; ConfigError where it is no mapping."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror or error}") from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict | None):
        raise ConfigError(f"{path}: expected a mapping of settings, got {type(values).__name__}")
    return values or {}


def overridden(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of a mapping with "key=value" lines applied; ConfigError names a line that is not of that form."""
    merged = _deep_copy(values)
    for override in overrides:
        _apply(merged, override)
    return merged


def from_mapping(
    cls: type[Config], values: Mapping[str, Any], overrides: Iterable[str] = (), *, where: str = "settings"
) -> Config:
    """`load` for a mapping that is already in memory; `where` opens the error messages."""
    merged = overridden(values, overrides)
    _check_keys(cls, merged, where, prefix="")
    try:
        return adapter(cls).validate_python(merged)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(error)}") from None


def to_mapping(config: Any) -> dict[str, Any]:
    """A dataclass instance as plain, YAML-ready values (tuples become lists)."""
    return adapter(type(config)).dump_python(config, mode="json")


def adapter(cls: Any) -> TypeAdapter[Any]:
    """pydantic's validator of a dataclass, built once: that takes a hundredth of a second."""
    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def _deep_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _deep_copy(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"override {override!r}: expected key=value, for example seed=3 or section.key=value")
    *sections, last = key.strip().split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"override {override!r}: {section!r} is a single value, not a section")
        values = inner
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: {' '.join(str(error).split())}") from error


def _check_keys(cls: Any, values: Mapping[str, Any], where: str, prefix: str) -> None:
    if not dataclasses.is_dataclass(cls):
        return
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    for key in values:
        if key not in known:
            near = nearest_names(key, known)
            hint = f"did you mean {prefix + near[0]!r}?" if near else f"known here: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {prefix + str(key)!r}; {hint}")
    hints = typing.get_type_hints(cls)
    for key, value in values.items():
        section = _dataclass_in(hints[key])
        for item in value if isinstance(value, list) else [value]:
            if section is not None and isinstance(item, Mapping):
                _check_keys(section, item, where, prefix=f"{prefix}{key}.")


def _dataclass_in(hint: Any) -> Any:
    """The dataclass of a field's type, also out of `Section | None` and of lists; None where there is none."""
    candidates = (hint, *typing.get_args(hint))
    return next((each for each in candidates if isinstance(each, type) and dataclasses.is_dataclass(each)), None)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str | int)) or "(top level)"
    if problem["type"] in ("missing", "missing_argument"):
        return f"{key!r} is missing and has no default"
    return f"{key!r}: {problem['msg']}, got {problem['input']!r}"
