"""What a training says of its precision."""

from __future__ import annotations

import pytest
from accelerate.state import AcceleratorState

from gen_inbetween.training.accelerator import open_accelerator


@pytest.mark.parametrize("instructions", [True, False])
def test_bf16_is_warned_of_where_the_processor_lacks_it(tmp_path, caplog, monkeypatch, instructions):
    monkeypatch.setattr("gen_inbetween.training.accelerator.multiplies_bfloat16", lambda: instructions)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        open_accelerator({}, tmp_path, report_to="none", mixed_precision="bf16", gradient_accumulation_steps=1)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert ("bf16 takes this CPU many times as long" in caplog.text) is not instructions
