"""The program that renders chat templates: started by `chat_template`, ended by its limits.

A template is a program of whoever made the model. It runs here, in Jinja's sandbox, in a process
that may take little memory, may write no file, and that the kernel ends when a template is not done
in time: a signal that Python would have to handle waits for a long `'a' * n` or `2 ** n`, this one
does not. Only the standard library and Jinja are imported, so that starting it takes a tenth of a
second.

Input and output: a length of four bytes, then JSON, until the input ends. The environment and the
names a template sees are those transformers gives it (`utils/chat_template_utils.py`).
"""

import json
import resource
import signal
import struct
import sys
from collections.abc import Callable
from datetime import datetime
from typing import IO, NoReturn

import jinja2
import jinja2.ext
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

LENGTH = struct.Struct("<I")


class GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` marks what a model wrote; its block writes what it would without."""

    tags = {"generation"}  # noqa: RUF012 (declared by Jinja as an attribute of the instance)

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        """A call with the block: what it sets stays inside, as with transformers."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_written")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _written(self, caller: Callable[[], str]) -> str:
        return caller()


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _now(layout: str) -> str:
    return datetime.now().strftime(layout)  # noqa: DTZ005 (the local date, as transformers has it)


def environment() -> jinja2.Environment:
    """What a template may use."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _raise_exception
    made.globals["strftime_now"] = _now
    return made


def answer(made: jinja2.Environment, request: dict[str, object], max_characters: int) -> object:
    """`{"text": ...}`, or `{"error": ..., "message": ...}` with what went wrong."""
    try:
        template = made.from_string(str(request["template"]))
        variables = request["variables"]
        assert isinstance(variables, dict)  # noqa: S101 (our own caller)
        parts, length = [], 0
        for part in template.generate(**variables):
            length += len(part)
            if length > max_characters:
                return {"error": "output", "message": ""}
            parts.append(part)
    except MemoryError:
        return {"error": "memory", "message": ""}
    except jinja2.TemplateSyntaxError as exc:
        return {"error": "syntax", "message": f"line {exc.lineno}: {exc.message}"[:500]}
    except Exception as exc:  # noqa: BLE001 (a template can raise anything; all of it is its own)
        what = str(exc) if isinstance(exc, jinja2.TemplateError) else f"{type(exc).__name__}: {exc}"
        return {"error": "template", "message": what[:500]}
    return {"text": "".join(parts)}


def read_message(stream: IO[bytes]) -> object:
    """The next message, or None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return json.loads(stream.read(LENGTH.unpack(head)[0]))


def write_message(stream: IO[bytes], message: object) -> None:
    """The message is on its way."""
    content = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def main(seconds: float, max_characters: int, memory_bytes: int) -> None:
    """Renders until the input ends."""
    made = environment()
    # Stopping a run goes to its whole process group; what it still renders is needed to stop well.
    # The input's end, the timer and SIGKILL end this process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    while (request := read_message(sys.stdin.buffer)) is not None:
        assert isinstance(request, dict)  # noqa: S101 (our own caller)
        signal.setitimer(signal.ITIMER_REAL, seconds)  # no handler: SIGALRM ends the process
        result = answer(made, request, max_characters)
        signal.setitimer(signal.ITIMER_REAL, 0)
        write_message(sys.stdout.buffer, result)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
