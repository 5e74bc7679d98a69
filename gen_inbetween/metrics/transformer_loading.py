"""A state by the names of Hugging Face's checkpoint files into a `transformers` model, every tensor of it or none."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import PretrainedConfig
from transformers.utils import logging


def load_strictly(model_class: Any, config: PretrainedConfig, state: dict[str, Tensor]) -> Any:
    """A model of that `PreTrainedModel` in evaluation mode, float32.

    `from_pretrained` and not `load_state_dict`, for it knows how names in files map to the module names of the
    installed version, which change; it is also content with half a state, hence the check.

    Raises:
        ValueError: naming tensors that are missing, left over, or of another shape.
    """
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        state = {name: value.float() for name, value in state.items()}
        model, found = model_class.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
        )
    finally:
        if shown:
            logging.enable_progress_bar()
    wrong = {what: sorted(map(str, names))[:3] for what, names in found.items() if names}
    if wrong:
        raise ValueError(f"the state does not fit {model_class.__name__}: {wrong}")
    return model.eval()
