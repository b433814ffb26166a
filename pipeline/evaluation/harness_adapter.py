"""A loaded model as lm-evaluation-harness takes it."""

from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.errors import ModelError
from pipeline.modeling.chat_template import render


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
    from lm_eval.models.huggingface import HFLM

    if not with_template:
        return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
    if tokenizer.chat_template is None:
        raise ModelError(
            "model.no_chat_template",
            "the benchmark is to be asked through the chat template, and the tokenizer has none; "
            "turn `chat_template` off, or choose an instruction-tuned model",
        )

    class TemplatedModel(HFLM):
        """The harness's adapter, with the template rendered where it can do no harm."""

        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            variables = {
                "messages": chat_history,
                "tools": None,
                "documents": None,
                "add_generation_prompt": add_generation_prompt,
                **tokenizer.special_tokens_map,
            }
            return render(tokenizer.get_chat_template(), variables)

    return TemplatedModel(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
