"""A configuration is checked before any work."""

from __future__ import annotations

import pytest
from evaluation_cases import (
    run_of,
)

from gen_inbetween.evaluation.context import open_context
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.runtime.config import ConfigError

pytestmark = pytest.mark.usefixtures("stand_ins")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": {}}, "expected at least one"),
        ({"methods": {"a": {"baseline": "crosfade"}}}, "methods.a: .*did you mean 'crossfade'"),
        ({"methods": {"a": {"method": "gi", "renoise_step": 1}}}, "methods.a: .*did you mean 'renoise_steps'"),
        ({"methods": {"a": {"method": "gj"}}}, "methods.a: .*did you mean 'gi'"),
        ({"methods": {"a": {"method": "svd", "fusion": "linear"}}}, "methods.a: method svd takes no fusion"),
        ({"width": 72, "methods": {"a": {"method": "gi"}}}, "methods.a: width 72 is not a multiple of"),
        ({"methods": {"a": {"method": "gi", "seed": 3}}}, "'seed' is not a method's to choose"),
        ({"methods": {"a": {"method": "gi", "motion": "absent.safetensors"}}}, "methods.a: motion: .*absent"),
        ({"methods": {"a": {"folder": "absent"}}}, "methods.a: no such folder"),
        ({"methods": {"a": {"folder": None}}}, "methods.a: expected the path of a folder, got None"),
        ({"methods": {"a": {"method": "interpolate", "iters": 0}}}, "methods.a: expected iters to be 1 or more, got 0"),
        ({"seeds": [3, 1, 3]}, "seeds: 3 stands there twice"),
        ({"methods": {"a": {"folder": ".", "fps": 3}}}, "takes no further options, got fps"),
        ({"methods": {"a": {"baseline": "nearest", "folder": "."}}}, "expected one of the keys"),
        ({"methods": {"truth": {"baseline": "nearest"}}}, "is not 'truth'"),
        ({"methods": {"a/b": {"baseline": "nearest"}}}, "part of a folder's name"),
        ({"methods": {"a.": {"baseline": "nearest"}}}, "part of a folder's name"),
        ({"methods": {"a\nb": {"baseline": "nearest"}}}, "methods.a b: .*cannot be seen"),
        ({"methods": {"a\0b": {"baseline": "nearest"}}}, "methods.a b: .*cannot be seen"),
        ({"methods": {"a" * 300: {"baseline": "nearest"}}}, r"methods.a+\.\.\.: .*100 bytes at most, got 300"),
        ({"methods": {"\u00e4" * 60: {"baseline": "nearest"}}}, "100 bytes at most, got 120"),
        ({"methods": {"a": {"baseline": "completely else"}}}, "got 'completely else'$"),
        ({"methods": {"a": {"method": "zzzz"}}}, "got 'zzzz'$"),
        ({"reference": "gi"}, "reference 'gi' is no method of this run: fade"),
        ({"metrics": []}, "metrics: expected at least one"),
        ({"skip": 1000}, "skip=1000: .* pairs, so none is left"),
        ({"pairs": "absent.jsonl"}, "cannot read the list"),
        ({"report": {"headline": ["brightnes"]}}, "did you mean 'brightness'"),
    ],
)
def test_a_bad_configuration_is_refused_before_any_work(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(run_of(tmp_path, **change))
    assert not (tmp_path / "out").exists()


def test_keys_of_a_configuration_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'metrics'"):
        run_of(tmp_path, metric=["brightness"])


def test_skip_and_limit_take_a_stretch_of_the_list(tmp_path):
    every = [pair.name for pair in open_context(run_of(tmp_path)).pairs]
    assert [pair.name for pair in open_context(run_of(tmp_path, skip=1, limit=1)).pairs] == every[1:2]
    assert [pair.name for pair in open_context(run_of(tmp_path, skip=1)).pairs] == every[1:]
    assert len(every) > 1
