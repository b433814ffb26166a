"""Chat templates are rendered in a process of their own, with a limit on time, output and memory.

No data goes in (`data.tokenize` renders markers and puts the contents back afterwards), but the
number of messages and their roles do, so a template that was harmless once may still explode later:
every rendering has the limits, not a trial at import only. One process serves all renderings of a
program and costs a pipe's round trip each.
"""

import atexit
import io
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from jinja2.exceptions import TemplateError

from pipeline.errors import ModelError
from pipeline.modeling.template_child import LENGTH, read_message, write_message

MAX_SECONDS = 2.0
MAX_CHARACTERS = 256 * 2**10
MAX_MEMORY_BYTES = 256 * 2**20
GRACE_SECONDS = 10.0
"""For the start of the process and a busy machine; the time of a template is its own."""
CHILD = Path(__file__).with_name("template_child.py")


def render(template: str, variables: Mapping[str, object]) -> str:
    """What `template` writes with these names defined; as transformers renders it.

    Raises:
        TemplateError: the template failed, or refused the messages by its own decision.
        ModelError: `model.template_limit` when it takes more than two seconds, writes more than
            256 KiB or needs more than 256 MiB; `model.unsupported` when it is no Jinja template.
    """
    reply = _RENDERER.ask({"template": template, "variables": dict(variables)})
    match reply:
        case {"text": str(text)}:
            return text
        case {"error": "template", "message": str(message)}:
            raise TemplateError(message)
        case {"error": "syntax", "message": str(message)}:
            raise ModelError(
                "model.unsupported",
                f"the chat template is not a Jinja template ({message}); use the "
                "chat_template.jinja of the model it was trained from",
            )
        case {"error": "output"}:
            raise _over_limit(f"writes more than {MAX_CHARACTERS} characters")
        case {"error": "memory"}:
            raise _over_limit(f"needs more than {MAX_MEMORY_BYTES >> 20} MiB of memory")
    raise _over_limit(f"was not done after {MAX_SECONDS:g} seconds, or ended its process")


def _over_limit(what: str) -> ModelError:
    return ModelError(
        "model.template_limit",
        f"the chat template {what} for one conversation, so it was stopped; use the "
        "chat_template.jinja of the model it was trained from",
    )


class _Renderer:
    """Starts the process when it is first needed, and again after a template ended it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.close)

    def ask(self, request: object) -> object:
        """The process's answer, or None when it ended or did not answer."""
        with self._lock:
            child = self._running()
            assert child.stdin is not None  # noqa: S101 (it was started with pipes)
            assert child.stdout is not None  # noqa: S101
            try:
                write_message(child.stdin, request)
                reply = _read_within(child.stdout, MAX_SECONDS + GRACE_SECONDS)
            except BrokenPipeError:
                reply = None
            except BaseException:
                # A signal may have come between question and answer: the next answer would be the
                # wrong one.
                self._end()
                raise
            if reply is None:
                self._end()
            return reply

    def close(self) -> None:
        """The process has ended."""
        if self._owner == os.getpid():
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        # A fork has the pipes of its parent's process, which serves the parent.
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            limits = (MAX_SECONDS, MAX_CHARACTERS, MAX_MEMORY_BYTES)
            self._child = subprocess.Popen(  # noqa: S603 (our own program, no shell)
                [sys.executable, "-I", str(CHILD), *map(str, limits)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ},
            )
            self._owner = os.getpid()
        return self._child

    def _end(self) -> None:
        if self._child is None:
            return
        child, self._child = self._child, None
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def _read_within(stream: IO[bytes], seconds: float) -> object:
    """The next message, or None when none came whole in time."""
    deadline = time.monotonic() + seconds
    content = bytearray()
    wanted = LENGTH.size
    while len(content) < wanted:
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(stream.fileno(), wanted - len(content)) if ready else b""
        if not part:
            return None
        content += part
        if wanted == LENGTH.size == len(content):
            wanted += LENGTH.unpack(content)[0]
    return read_message(io.BytesIO(content))


_RENDERER = _Renderer()
