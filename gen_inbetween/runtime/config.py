"""Configuration files: YAML to a validated frozen dataclass.

    @dataclass(frozen=True)
    class Optimizer:
        lr: float = 1e-4

    @dataclass(frozen=True)
    class Training:
        steps: int
        optimizer: Optimizer = Optimizer()

    config = load(Training, "configs/train/full.yaml", overrides=["steps=10", "optimizer.lr=3e-4"])

A key that the dataclass does not have is an error that names the nearest one. The object stays
at the edge of the program: what it says is passed on as plain arguments.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from gen_inbetween.runtime.lists import read_text, read_yaml
from gen_inbetween.runtime.messages import nearest_names
from gen_inbetween.runtime.trust.limits import shorten

Config = TypeVar("Config")
Count = Annotated[int, Field(ge=1, lt=2**31)]  # as the type of a setting; more are no count, and beyond a float's range
LONGEST_SETTINGS = 2**20  # bytes of a file
_SAID = 40  # names that a message lists at most
_adapters: dict[Any, TypeAdapter[Any]] = {}


class ConfigError(ValueError):
    """A setting that is unknown, missing or of the wrong kind; the message names the file and the key."""


def load(cls: type[Config], path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Config:
    """Read a YAML file into the (frozen, possibly nested) dataclass `cls`.

    Args:
        cls: a dataclass; its field types are checked. A word is no number, nor is true or "7".
        path: a YAML file holding one mapping. An empty file means: every default.
        overrides: "key=value" or "section.key=value"; the value is read as YAML ("3", "1e-4", "[1, 2]", "null").

    Raises:
        ConfigError: the file cannot be read, is no mapping, or has an unknown, missing or ill-typed key.
    """
    return from_mapping(cls, read_mapping(path), overrides, where=str(path))


def read_mapping(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a YAML file says, not yet checked against anything; ConfigError where it is no mapping."""
    try:
        text = read_text(path, LONGEST_SETTINGS)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    try:
        values = read_yaml(text, aliases=True)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict | None):
        raise ConfigError(f"{path}: expected a mapping of settings, got {type(values).__name__}")
    return values or {}


def apply_overrides(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of a mapping with "key=value" lines applied; ConfigError names a line that is not of that form.

    >>> apply_overrides({"steps": 3}, ["steps=10", "optimizer.lr=3e-4"])
    {'steps': 10, 'optimizer': {'lr': 0.0003}}
    """
    merged = copy.deepcopy(dict(values))
    for override in overrides:
        _apply(merged, override)
    return merged


def from_mapping(
    cls: type[Config], values: Mapping[str, Any], overrides: Iterable[str] = (), *, where: str = "settings"
) -> Config:
    """`load` for a mapping that is already in memory; `where` opens the error messages."""
    merged = apply_overrides(values, overrides)
    if problem := ill_typed(cls, merged):
        raise ConfigError(f"{where}: {problem}")
    try:
        return adapter(cls).validate_python(merged)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_unknown_key(cls, error) or first_problem(error)}") from None


def to_mapping(config: Any) -> dict[str, Any]:
    """A dataclass instance as plain, YAML-ready values (tuples become lists)."""
    return adapter(type(config)).dump_python(config, mode="json")


def adapter(cls: Any) -> TypeAdapter[Any]:
    """pydantic's validator of a dataclass, built once: that takes a while. No unknown keys, no endless numbers."""
    if cls not in _adapters:
        for section in _dataclasses_in(cls):
            section.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def ill_typed(hint: Any, value: Any, key: str = "") -> str | None:
    """What is wrong with a value of this type where pydantic would turn one kind into another; None: nothing.

    Booleans and words are no numbers, numbers and words are neither true nor false. Looked for at any depth.

    >>> ill_typed(int | None, True, "seed"), ill_typed(int | None, 3, "seed")
    ("'seed': expected a number, got True", None)
    """
    choices = list(_choices(hint))
    prefix = f"{key}." if key else ""
    if isinstance(value, Mapping):
        inner: list[tuple[Any, str, Any]] = []
        for choice in choices:
            if isinstance(choice, type) and dataclasses.is_dataclass(choice):
                hints = typing.get_type_hints(choice, include_extras=True)
                inner += [(hints[name], name, item) for name, item in value.items() if name in hints]
            elif typing.get_origin(choice) is dict:
                inner += [(typing.get_args(choice)[1], name, item) for name, item in value.items()]
        return next(filter(None, (ill_typed(part, item, f"{prefix}{name}") for part, name, item in inner)), None)
    if isinstance(value, list | tuple):
        parts = [part for choice in choices for part in typing.get_args(choice) if part is not Ellipsis]
        if not parts or Any in choices:
            return None
        items: Any = typing.Union[tuple(parts)]  # noqa: UP007  # type: ignore[valid-type]
        return next(filter(None, (ill_typed(items, item, f"{prefix}{i}") for i, item in enumerate(value))), None)
    plain = {choice if isinstance(choice, type) else type(choice) for choice in choices}
    given = bool if isinstance(value, bool) else float if isinstance(value, int | float) else type(value)
    given = str if given in (bytes, bytearray) else given  # which pydantic would read as well
    if Any in choices or given not in (bool, float, str) or given in plain or (given is float and int in plain):
        return None
    if given is str and not plain <= {int, float, bool, type(None)}:
        return None  # a path, or what reads words
    if plain & {int, float} and given is not float:
        return f"{key!r}: expected a number, got {value!r}"
    return f"{key!r}: expected true or false, got {value!r}" if bool in plain else None


def _choices(hint: Any) -> Iterator[Any]:
    """The types that a hint allows, one by one; of a Literal its values."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType, typing.Annotated):
        inner = typing.get_args(hint)
        if typing.get_origin(hint) is typing.Annotated:
            inner = (Any,) if any(isinstance(each, BeforeValidator) for each in inner) else inner[:1]  # it reads itself
        for each in inner:
            yield from _choices(each)
    elif typing.get_origin(hint) is typing.Literal:
        yield from typing.get_args(hint)
    else:
        yield hint


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        said = shorten(override)
        raise ConfigError(f"override {said!r}: expected key=value, for example seed=3 or section.key=value")
    *sections, last = key.strip().split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"override {shorten(override)!r}: {shorten(section)!r} is a single value, not a section")
        values = inner
    try:
        values[last] = read_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {shorten(override)!r}: {' '.join(str(error).split())}") from error


def _dataclasses_in(hint: Any) -> Iterator[Any]:
    """The dataclass of a field's type, also out of `Section | None`, lists and mappings, then those of its fields."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
        for inner in typing.get_type_hints(hint).values():
            yield from _dataclasses_in(inner)
    for argument in typing.get_args(hint):
        yield from _dataclasses_in(argument)


def _unknown_key(cls: Any, error: ValidationError) -> str | None:
    """What to say of the first key that a dataclass does not have; None: there is none."""
    paths = (problem["loc"] for problem in error.errors() if problem["type"] == "unexpected_keyword_argument")
    path = next(paths, None)
    if path is None:
        return None
    section = cls
    for part in path[:-1]:
        inner = typing.get_type_hints(section).get(str(part))  # None: the number of an item, or the key of a mapping
        section = next(_dataclasses_in(inner), section)
    names = [field.name for field in dataclasses.fields(section) if field.init]
    near = nearest_names(path[-1], names)
    prefix = "".join(f"{part}." for part in path[:-1])
    known = ", ".join(sorted(names)[:_SAID] if len(names) > _SAID else names)
    more = f", and {len(names) - _SAID} more" if len(names) > _SAID else ""
    hint = f"did you mean {prefix + near[0]!r}?" if near else f"known here: {known}{more}"
    return f"unknown key {prefix + str(path[-1])!r}; {hint}"


def first_problem(error: ValidationError) -> str:
    """What is wrong first, in one line, with the key it is wrong with."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"] if isinstance(part, str | int))
    if problem["type"] in ("missing", "missing_argument"):
        return f"{key!r} is missing and has no default"
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return message
    return (
        f"{key!r}: {message}" if "; got " in message else f"{key!r}: {message}, got {shorten(repr(problem['input']))}"
    )
