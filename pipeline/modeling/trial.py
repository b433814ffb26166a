"""What a foreign model brings that only shows when it is used is used once, before it is kept.

Without torch and transformers: an import starts in a second.
"""

import json
import os
import resource
import signal
from pathlib import Path
from typing import NoReturn

from jinja2.exceptions import TemplateError

from pipeline.errors import ModelError
from pipeline.modeling.chat_template import render
from pipeline.modeling.inspection import TOKENIZER_CONFIG_NAME, TOKENIZER_NAME
from pipeline.modeling.model_facts import CleanModel
from pipeline.modeling.tokenizer_files import SPECIAL_TOKENS

SAMPLE = "\u56fd\u6709\u8d44\u4ea7 State-owned assets, 1,234.5\n\n\U0001f600 <|im_end|>"
MAX_SECONDS = 30.0
MAX_MEMORY_BYTES = 2**30
CHAT = ({"role": "user", "content": SAMPLE}, {"role": "assistant", "content": SAMPLE})


def try_out(model: CleanModel) -> None:
    """The tokenizer can be built and used, and the chat template keeps its limits.

    A template that refuses this one conversation is no reason to refuse the model.

    Raises:
        ModelError: `model.corrupt_file`, `model.template_limit` or `model.unsupported`.
    """
    content = model.documents.get(TOKENIZER_NAME)
    if content is not None:
        problem = _problem_of_tokenizer(content)
        if problem:
            raise ModelError(
                "model.corrupt_file",
                f"{model.facts.path / TOKENIZER_NAME} cannot be used as a tokenizer "
                f"({problem:.500}). Copy the tokenizer.json of the model it was trained from.",
            )
    if model.chat_template is not None:
        variables = {
            "messages": CHAT,
            "tools": None,
            "documents": None,
            "add_generation_prompt": True,
            **_special_tokens(model),
        }
        try:
            render(model.chat_template, variables)
        except TemplateError:
            return


def _problem_of_tokenizer(content: bytes) -> str:
    """Why the tokenizer cannot be used, or nothing.

    Tried in a fork: the library ends the process where memory for what a file asks for is missing.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _try_and_exit(content, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"the process that tried it was ended by the signal {os.WTERMSIG(status)}"
    return answer


def _try_and_exit(content: bytes, writer: int) -> NoReturn:
    """In the fork: nothing of the parent may run, so it ends without clean-up."""
    problem = "the trial was not finished"
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a panic writes pages
        os.environ["RUST_BACKTRACE"] = "0"
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads do not survive a fork
        _limit_memory()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
        from tokenizers import Tokenizer  # here, so that an import starts without it

        tokenizer = Tokenizer.from_str(content.decode())
        tokenizer.decode(tokenizer.encode(SAMPLE).ids)
        problem = ""
    except BaseException as exc:  # noqa: BLE001 (a panic is none of Exception)
        problem = " ".join(f"{type(exc).__name__}: {exc}".split())
    finally:
        os.write(writer, problem.encode(errors="replace")[:2_000])
        os._exit(0)


def _limit_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # an isolated child may not see it; the run's own limit holds
        return
    most = pages * resource.getpagesize() + MAX_MEMORY_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)  # the run's own, which may be smaller
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _special_tokens(model: CleanModel) -> dict[str, str]:
    settings = json.loads(model.documents.get(TOKENIZER_CONFIG_NAME, b"{}"))
    found = {key: settings.get(key) for key in SPECIAL_TOKENS}
    texts = {
        key: value["content"] if isinstance(value, dict) else value for key, value in found.items()
    }
    return {key: text for key, text in texts.items() if text is not None}
