"""Drafts that are found, not computed: what the ways of looking up share."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch

from pipeline.decoding.proposers.base import Draft


class Lookup(Protocol):
    """Something that knows how a text may go on."""

    def continuation(self, sequence: Sequence[int], num_tokens: int) -> Sequence[int]:
        """Up to `num_tokens` tokens to follow `sequence`; empty where nothing is found."""


def first_continuation(
    lookups: Iterable[Lookup], sequence: Sequence[int], num_tokens: int
) -> Sequence[int]:
    """What the first of `lookups` that finds anything says; empty where none does."""
    for lookup in lookups:
        if found := lookup.continuation(sequence, num_tokens):
            return found
    return ()


def found_draft(continuations: Sequence[Sequence[int]], device: torch.device) -> Draft:
    """One continuation for each sequence, of any length, as a draft; chance had no part in it."""
    width = max(len(tokens) for tokens in continuations)
    padded = [[*tokens, *[0] * (width - len(tokens))] for tokens in continuations]
    return Draft(
        token_ids=torch.tensor(padded, dtype=torch.long, device=device),
        num_tokens=tuple(len(tokens) for tokens in continuations),
        probs=None,
    )


class LookupSession:
    """Drafts for one batch by lookup alone (`DraftSession`).

    Args:
        lookups: Of each sequence, asked in this order.
        device: Where drafts are wanted.
    """

    def __init__(self, lookups: Sequence[Sequence[Lookup]], device: torch.device) -> None:
        self.lookups = list(lookups)
        self.device = device

    def propose(self, sequences: Sequence[Sequence[int]], num_tokens: int) -> Draft:
        """As `DraftSession.propose`."""
        return found_draft(self.continuations(sequences, num_tokens), self.device)

    def continuations(
        self, sequences: Sequence[Sequence[int]], num_tokens: int
    ) -> list[Sequence[int]]:
        """What is found for each sequence, empty where nothing is."""
        return [
            first_continuation(lookups, sequence, num_tokens)
            for lookups, sequence in zip(self.lookups, sequences, strict=True)
        ]

    def keep_rows(self, rows: Sequence[int]) -> None:
        """As `DraftSession.keep_rows`."""
        self.lookups = [self.lookups[row] for row in rows]
