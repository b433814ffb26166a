"""The text itself drafts: lookup of the last tokens (`NGramArm`)."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import NGramArm
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.lookup import LookupSession
from pipeline.errors import DecodingError


def open_proposer(arm: NGramArm, target: PreTrainedModel) -> "NGramProposer":
    """Lookup of the arm's lengths; it serves any target."""
    return NGramProposer(max_ngram=arm.max_ngram, min_ngram=arm.min_ngram)


class NGramProposer:
    """Drafts what followed the latest earlier occurrence of the last tokens; needs no model.

    Args:
        max_ngram: Longest suffix looked up; the longest that occurs earlier wins.
        min_ngram: Shortest suffix looked up.

    Source: Saxena 2023, prompt lookup decoding.
    """

    name = "ngram"
    models: tuple[PreTrainedModel, ...] = ()
    step_model = None
    output_ids = None
    answer_store: AnswerStore | None = None

    def __init__(self, *, max_ngram: int = 3, min_ngram: int = 1) -> None:
        if not 1 <= min_ngram <= max_ngram:
            raise DecodingError(
                "decode.unsupported_option",
                f"min_ngram {min_ngram} and max_ngram {max_ngram} must satisfy "
                "1 <= min_ngram <= max_ngram.",
            )
        self.max_ngram = max_ngram
        self.min_ngram = min_ngram

    def check(self, target: PreTrainedModel, num_positions: int) -> None:
        """Nothing to check: the drafted tokens come from the target's own context."""

    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        capacity: int,
        params: SamplingParams,
        generator: torch.Generator,
    ) -> LookupSession:
        """A session with an empty index for each prompt."""
        return LookupSession([[self.index()] for _ in prompts], generator.device)

    def index(self) -> "NGramIndex":
        """An empty index for one sequence."""
        return NGramIndex(range(self.max_ngram, self.min_ngram - 1, -1))


class NGramIndex:
    """Where each n-gram of a growing sequence was followed by another token, the latest place.

    Args:
        lengths: Lengths of n-grams, in the order in which they are looked up.
    """

    def __init__(self, lengths: range) -> None:
        self.lengths = lengths
        self.followed_at: dict[tuple[int, ...], int] = {}
        self.num_indexed = 1

    def continuation(self, sequence: Sequence[int], num_tokens: int) -> Sequence[int]:
        """What followed the latest earlier occurrence of the last tokens (`Lookup`)."""
        # The n-gram at the end has no follower yet, so it never finds itself.
        for place in range(self.num_indexed, len(sequence)):
            for length in self.lengths:
                if length <= place:
                    self.followed_at[tuple(sequence[place - length : place])] = place
        self.num_indexed = len(sequence)
        for length in self.lengths:
            follower = self.followed_at.get(tuple(sequence[-length:]))
            if follower is not None:
                return sequence[follower : follower + num_tokens]
        return ()
