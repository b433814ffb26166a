"""The rivals in interpreters of their own, and what each has to be given."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.answering.turns import NotRun
from bench.rivals.child import Child


@dataclass(frozen=True, kw_only=True, slots=True)
class Rival:
    """One arm; `interpreter`, `model` and `draft` are names of options."""

    script: str
    """`bench/rivals/<script>_child.py`."""
    interpreter: str
    model: str
    draft: str = ""
    length: str = ""
    """Tokens drafted a round; none where empty."""

    def command(self, options: argparse.Namespace, *, context: int) -> list[str]:
        """How its child is started for prompts and answers of `context` tokens.

        Raises:
            NotRun: an option that it needs was not given.
        """
        given = vars(options)
        needed = [name for name in (self.interpreter, self.model, self.draft) if name]
        missing = [name for name in needed if given[name] is None]
        if missing:
            raise NotRun("give " + " and ".join(f"--{name.replace('_', '-')}" for name in missing))
        arguments = {"threads": options.threads, "context": context}
        arguments |= {"length": given[self.length]} if self.length else {}
        arguments |= {"draft": given[self.draft]} if self.draft else {}
        return [
            str(given[self.interpreter]), "-m", f"bench.rivals.{self.script}_child",
            str(given[self.model]), *(f"--{name}={value}" for name, value in arguments.items()),
        ]  # fmt: skip


RIVALS = {
    "llama_cpp": Rival(script="llama_cpp", interpreter="llama_cpp", model="gguf"),
    "llama_cpp_lookup": Rival(
        script="llama_cpp", interpreter="llama_cpp", model="gguf", length="lookup_length"
    ),
    "openvino": Rival(script="openvino", interpreter="openvino", model="ir"),
    "openvino_lookup": Rival(
        script="openvino", interpreter="openvino", model="ir", length="lookup_length"
    ),
    "openvino_draft": Rival(
        script="openvino", interpreter="openvino", model="ir", draft="draft_ir", length="length"
    ),
    "vllm": Rival(script="vllm", interpreter="vllm", model="target"),
    "vllm_draft": Rival(
        script="vllm", interpreter="vllm", model="target", draft="draft", length="length"
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the rivals have to be given; docs/commands.md says how each is installed."""
    group = parser.add_argument_group("rivals in interpreters of their own")
    for name in ("llama-cpp", "openvino", "vllm"):
        group.add_argument(f"--{name}", type=Path, metavar="PYTHON")
    group.add_argument("--gguf", type=Path, help="the target as a float32 file, for llama.cpp")
    group.add_argument("--ir", type=Path, help="the target for OpenVINO: a directory or GGUF file")
    group.add_argument("--draft-ir", type=Path, help="the draft for OpenVINO")


def open_rivals(
    options: argparse.Namespace,
    names: Sequence[str],
    *,
    context: int,
    vocab_size: int,
    children: ExitStack,
) -> tuple[dict[str, Child], dict[str, str]]:
    """Those of `names` that started, closed with `children`, and why the others did not."""
    started, not_run = dict[str, Child](), dict[str, str]()
    for name in names:
        try:
            command = RIVALS[name].command(options, context=context)
            started[name] = Child(command, threads=options.threads, vocab_size=vocab_size)
            children.callback(started[name].close)
        except NotRun as exc:
            not_run[name] = str(exc)
    return started, not_run
