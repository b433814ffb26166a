"""lm-evaluation-harness's adapter of a model, answering with our engine; imports the harness."""

from collections.abc import Sequence

import torch
from lm_eval.models.huggingface import HFLM
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.modeling.chat_template import render


class EngineModel(HFLM):
    """The adapter, with greedy answers from our engine; everything else is the harness's.

    The engine stops at tokens, not at texts: answers run on to the limit, and the harness cuts them
    at the task's stop texts, which it does with its own answers as well.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, batch_size: int
    ) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self._engine = AutoregressiveEngine(model, max_batch_size=batch_size)
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
        self._stops = (self.eot_token_id, *ends)

    def _model_generate(
        self,
        context: Tensor,
        max_length: int,
        stop: Sequence[str],
        *,
        attention_mask: Tensor,
        **settings: object,
    ) -> Tensor:
        """Contexts and answers, `[B, T + longest answer]`, padded behind.

        Args:
            context: `[B, T]`, padded in front.
            max_length: T and the longest answer.
            stop: Texts that end an answer.
            attention_mask: `[B, T]`; 0 at the padding.
            settings: The harness's own; an answer that is drawn is left to it.
        """
        if settings.get("do_sample") or settings.get("temperature"):
            answers: Tensor = super()._model_generate(
                context, max_length, stop, attention_mask=attention_mask, **settings
            )
            return answers
        prompts = [
            row[mask.bool()].tolist() for row, mask in zip(context, attention_mask, strict=True)
        ]
        found = self._engine.generate(
            prompts,
            SamplingParams(
                max_new_tokens=max_length - context.shape[1], stop_token_ids=self._stops
            ),
        )
        answers = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(one.token_ids) for one in found],
            batch_first=True,
            padding_value=self.tokenizer.pad_token_id,
        )
        return torch.cat([context, answers.to(context)], dim=1)


class TemplatedModel(EngineModel):
    """The adapter, with the chat template rendered where it can do no harm."""

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The conversation as one text."""
        variables = {
            "messages": chat_history,
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **self.tokenizer.special_tokens_map,
        }
        return render(self.tokenizer.get_chat_template(), variables)
