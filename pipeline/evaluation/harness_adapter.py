"""A loaded model as lm-evaluation-harness takes it."""

from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.errors import ModelError


def harness_adapter(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int,
    *,
    with_template: bool,
) -> Any:
    """Returns the model as the harness takes it.

    Raises:
        ModelError: `model.no_chat_template` where one is asked for.
    """
    # Imported here: the harness takes seconds to import, which the other recipes need not pay.
    from pipeline.evaluation.harness_model import EngineModel, TemplatedModel

    if not with_template:
        return EngineModel(model, tokenizer, batch_size=batch_size)
    if tokenizer.chat_template is None:
        raise ModelError(
            "model.no_chat_template",
            "the benchmark is to be asked through the chat template, and the tokenizer has none; "
            "turn `chat_template` off, or choose an instruction-tuned model",
        )
    return TemplatedModel(model, tokenizer, batch_size=batch_size)
