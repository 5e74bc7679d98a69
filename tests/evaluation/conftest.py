"""Fixtures of the evaluation."""

from __future__ import annotations

import pytest
from evaluation_cases import (
    STAND_INS,
)

from gen_inbetween.evaluation import context, samplers
from gen_inbetween.generation.sample import sample


@pytest.fixture
def stand_ins(monkeypatch):
    """The metrics of `evaluation_cases` in place of the library's."""
    monkeypatch.setattr(context, "open_metric", lambda name: STAND_INS[name]())


@pytest.fixture
def sampled(monkeypatch):
    """Counts the clips that the model makes."""
    calls = []

    def count(pipe, run, timeline):
        calls.append((run.method.name, run.settings.seed))
        return sample(pipe, run, timeline)

    monkeypatch.setattr(samplers, "sample", count)
    return calls
