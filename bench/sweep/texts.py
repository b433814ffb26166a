"""The prompts of a sweep, all on documents that no training has seen."""

import argparse
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from bench.answering.prompts import DATA, unseen_questions
from bench.answering.turns import Prompt
from bench.sweep.settings import Setting
from pipeline.contracts.references import CorpusRef
from pipeline.data.datasets import read_rows
from pipeline.data.records import Document
from pipeline.data.tokenize import stop_token_ids
from pipeline.decoding.base import SamplingParams

NUM_QUESTIONS = 56
"""Seven batches of 8; there are 58."""


class Texts:
    """Questions, and windows of running text, as token ids of a tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._stop = stop_token_ids(tokenizer)
        self._questions = unseen_questions(tokenizer, NUM_QUESTIONS)
        corpus = DATA.rows(CorpusRef, "corpus_domain", "corpus", DATA.unseen("id"))
        text = "\n\n".join(row.text for row in read_rows(corpus, Document))
        self._text: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]

    def units(self, setting: Setting, number: int) -> list[list[Prompt]]:
        """At most `number` units of `setting.batch` prompts.

        Raises:
            SystemExit: there is not one unit of this size.
        """
        prompts: Sequence[Prompt] = self._questions
        if (size := setting.input_tokens) is not None:
            starts = range(0, len(self._text) - size + 1, size)
            prompts = [tuple(self._text[start : start + size]) for start in starts]
        number = min(number, len(prompts) // setting.batch)
        if not number:
            raise SystemExit(f"there is too little text for {setting.factor} {setting.value}")
        return [list(prompts[one::number][: setting.batch]) for one in range(number)]

    def params(self, setting: Setting, options: argparse.Namespace) -> SamplingParams:
        """Of both arms."""
        return SamplingParams(
            max_new_tokens=options.max_new_tokens,
            temperature=setting.temperature,
            stop_token_ids=self._stop,
        )
