"""The child's side of a rival in an interpreter of its own: the line protocol, in plain Python.

The child is started as `INTERPRETER -m bench.rivals.NAME_child MODEL --threads N --context N ...`.
It loads its model, writes one line `{"ready": true}`, and answers each line

    {"token_ids": [...], "max_new_tokens": N, "stop_token_ids": [...]}

of its standard input with one line

    {"token_ids": [...], "prefill_seconds": S, "decode_seconds": S}

of its standard output until the input ends. A stop token is the last of its answer. Whatever else
its library prints goes to standard error. `bench/rivals/child.py` is the parent's side.
"""

import argparse
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

PR_SET_PDEATHSIG = 1
"""Of `prctl` in Linux: the signal that the end of the parent sends."""


@dataclass(frozen=True)
class Request:
    """A prompt to be continued greedily."""

    token_ids: list[int]
    max_new_tokens: int
    stop_token_ids: list[int]


@dataclass(frozen=True)
class Answer:
    """What followed, and how long it took."""

    token_ids: list[int]
    prefill_seconds: float
    """From the call to the first token."""
    decode_seconds: float
    """From the first token to the last."""


class Stopwatch:
    """Times an answer whose tokens arrive one or several at a time; begins when it is made."""

    def __init__(self) -> None:
        self._arrivals: list[tuple[float, int]] = []
        self._began = time.perf_counter()

    def tokens_arrived(self, number: int) -> None:
        """These many more tokens are there."""
        self._arrivals.append((time.perf_counter(), number))

    def answer(self, token_ids: list[int]) -> Answer:
        """The timed answer.

        Where the first tokens arrive together (a draft's first round), the time behind them is
        scaled up to what all tokens but one would have taken.
        """
        first_at, num_first = self._arrivals[0]
        num_later = sum(number for _, number in self._arrivals) - num_first
        share = (len(token_ids) - 1) / num_later if num_later else 0.0
        return Answer(
            token_ids=token_ids,
            prefill_seconds=first_at - self._began,
            decode_seconds=(self._arrivals[-1][0] - first_at) * share,
        )


Engine = Callable[[Request], Answer]


def serve(open_engine: Callable[[argparse.Namespace], Engine]) -> None:
    """Requests are answered until there are no more."""
    # A sleeping child would outlive a killed parent.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="prompt and answer, tokens")
    parser.add_argument("--draft", default="", help="path of a draft")
    parser.add_argument("--length", type=int, default=0, help="drafted tokens a round; 0 for none")
    engine = open_engine(parser.parse_args())
    print(json.dumps({"ready": True}), file=lines)
    for line in sys.stdin:
        print(json.dumps(asdict(engine(Request(**json.loads(line))))), file=lines)
