"""The parent's side of a rival in an interpreter of its own: its packages never enter ours.

`bench/rivals/serving.py` has the protocol. Between two answers the rival and what it started are
stopped by signal, so that it takes no processor from the others, whatever its threads do while
they wait, and keeps the settings with which it is fastest.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from bench.answering.turns import NotRun, Prompt
from bench.rivals.child_process import ChildProcess
from pipeline.contracts.base import Contract
from pipeline.decoding.base import Completion, SamplingParams
from pipeline.errors import SpecError

SaidT = TypeVar("SaidT", bound=Contract)
PATIENCE_SECONDS = 600.0
"""For loading a model, and for one answer."""


class _Ready(Contract):
    ready: Literal[True]


class _Request(Contract):
    token_ids: tuple[int, ...]
    max_new_tokens: int
    stop_token_ids: tuple[int, ...]


class _Answer(Contract):
    token_ids: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    prefill_seconds: Annotated[float, Field(ge=0)]
    decode_seconds: Annotated[float, Field(ge=0)]


class Child:
    """A rival that has loaded its model; to be closed.

    Args:
        command: Interpreter and arguments.
        threads: What it may compute with.
        vocab_size: Number of the target's tokens.
        patience: Seconds for loading, and for one answer.

    Raises:
        NotRun: it cannot be started, died, or said something else than that it is ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        threads: int,
        vocab_size: int,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._vocab_size, self._patience = vocab_size, patience
        self._process = ChildProcess(command, threads=threads)
        try:
            self._heard(_Ready)
        except NotRun:
            self.close()
            raise

    def __call__(self, prompt: Prompt, params: SamplingParams) -> Completion:
        """Its greedy answer and its own times.

        Raises:
            NotRun: it died, takes too long, or what it said is no answer.
        """
        request = _Request(
            token_ids=prompt,
            max_new_tokens=params.max_new_tokens,
            stop_token_ids=params.stop_token_ids,
        )
        self._process.say(request.model_dump_json().encode())
        found = self._heard(_Answer)
        count, largest = len(found.token_ids), max(found.token_ids)
        if count > params.max_new_tokens or largest >= self._vocab_size:
            raise NotRun(
                f"it answered {count} tokens up to id {largest}; asked for were at most "
                f"{params.max_new_tokens} of a vocabulary of {self._vocab_size}"
            )
        return Completion(
            token_ids=tuple(found.token_ids),
            finish_reason="stop" if found.token_ids[-1] in params.stop_token_ids else "length",
            prefill_seconds=found.prefill_seconds,
            decode_seconds=found.decode_seconds,
        )

    def close(self) -> None:
        """It has ended; may be called twice."""
        self._process.close()

    def _heard(self, kind: type[SaidT]) -> SaidT:
        line = self._process.hear(self._patience)
        try:
            return kind.parse(line)
        except SpecError as exc:
            raise NotRun(f"it said {line[:60].decode(errors='replace')!r}: {exc}") from exc
