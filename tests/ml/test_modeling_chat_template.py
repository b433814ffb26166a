"""Chat templates are programs of strangers: rendered apart, with limits, as transformers does."""

import itertools
import json
import os
import time

import pytest
from jinja2.exceptions import TemplateError

from pipeline.data.records import Conversation, Message
from pipeline.data.tokenize import ChatFormat, stop_token_ids, tokenize_conversations
from pipeline.errors import DataError, ModelError
from pipeline.modeling import chat_template
from pipeline.modeling.chat_template import MAX_CHARACTERS, render
from pipeline.modeling.tiny import CHATML_TEMPLATE, tiny_tokenizer

ROLES = [
    roles
    for length in (1, 2, 3)
    for roles in itertools.product(("system", "user", "assistant"), repeat=length)
]
TEMPLATES = {
    "chatml": CHATML_TEMPLATE,
    "smollm": (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "refuses roles": (
        "{{ bos_token }}{% for m in messages %}"
        "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
        "{{ m.role + ': ' + m.content | trim + eos_token }}{% endfor %}"
    ),
    "extensions": (
        "{%- set ns = namespace(n=0) -%}\n  {% for m in messages %}\n"
        "{% if m.role == 'system' %}{% continue %}{% endif %}"
        "{% set ns.n = ns.n + 1 %}{% set x = 1 %}"
        "{% generation %}{% set x = 2 %}{{ m.content }}{% endgeneration %}{{ x }}{{ ns.n }}"
        "{{ m | tojson }}{{ m | tojson(indent=2) }}{{ tools is none }}{{ documents is none }}"
        "{% endfor %}\n  {% if add_generation_prompt %}\n>{% endif %}"
    ),
    "undefined": "{{ messages[9].content }}{{ nothing }}{{ nothing.at_all }}",
    "divides": "{{ 1 / (messages | length - 2) }}",
}


def ours(template: str, messages: list[dict[str, str]], *, for_generation: bool) -> str | None:
    names = {"messages": messages, "tools": None, "documents": None}
    tokens = tiny_tokenizer().special_tokens_map
    try:
        return render(template, {**names, "add_generation_prompt": for_generation, **tokens})
    except TemplateError:
        return None


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_text_is_that_of_transformers(name: str) -> None:
    tokenizer = tiny_tokenizer()
    for roles, for_generation in itertools.product(ROLES, (False, True)):
        messages = [{"role": role, "content": f" {n} \u56fd\n"} for n, role in enumerate(roles)]
        try:
            expected = tokenizer.apply_chat_template(
                messages,
                chat_template=TEMPLATES[name],
                tokenize=False,
                add_generation_prompt=for_generation,
            )
        except (TemplateError, ArithmeticError):
            expected = None
        assert ours(TEMPLATES[name], messages, for_generation=for_generation) == expected


BOMBS = {
    "memory": "{{ 'a' * 10**9 }}",
    "formatting": "{{ '%0999999999d' % 1 }}",
    "centring": "{{ 'a' | center(10**10) }}",
    "doubling": "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "output": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "nested ranges": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}",
    "one long operation": "{{ (7 ** 9999999) % 2 }}",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_stopped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit belongs to the process, so a process of this test is started with a smaller one.
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.5)
    renderer = chat_template._Renderer()
    monkeypatch.setattr(chat_template, "_RENDERER", renderer)
    began = time.monotonic()
    with pytest.raises(ModelError) as caught:
        render(BOMBS[name], {"messages": []})
    assert caught.value.code == "model.template_limit"
    assert time.monotonic() - began < 10
    # What a template did to the process is over with it.
    assert render("{{ 1 + 1 }}", {}) == "2"
    renderer.close()


@pytest.mark.parametrize(
    "template",
    [
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ range(10**9) | list }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_what_the_sandbox_forbids_is_the_templates_own_error(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, {"messages": []})


def test_the_longest_text_is_returned_and_one_more_character_is_not() -> None:
    assert len(render("{{ text }}", {"text": "\u56fd" * MAX_CHARACTERS})) == MAX_CHARACTERS
    with pytest.raises(ModelError, match="characters"):
        render("{{ text }}", {"text": "x" * (MAX_CHARACTERS + 1)})


def test_a_template_that_explodes_on_certain_rows_only_is_stopped_there() -> None:
    tokenizer = tiny_tokenizer()
    bomb = "{% if messages | length > 2 %}{{ 'a' * 10**9 }}{% endif %}"
    tokenizer.chat_template = CHATML_TEMPLATE + bomb
    turns = (Message(role="user", content="?"), Message(role="assistant", content="."))
    short = Conversation(id="a", messages=turns, lang="en")
    assert len(tokenize_conversations([short], tokenizer)) == 1
    long = Conversation(id="b", messages=turns * 2, lang="en")
    with pytest.raises(ModelError) as caught:
        tokenize_conversations([short, long], tokenizer)
    assert caught.value.code == "model.template_limit"


@pytest.mark.parametrize("template", ["{% if %}", "{{ 1 / 0 }}", "{{ raise_exception('no') }}"])
def test_a_template_that_fails_on_any_conversation_is_the_models_error(template: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    for use in (ChatFormat, stop_token_ids):
        with pytest.raises(ModelError) as caught:
            use(tokenizer)
        assert caught.value.code == "model.unsupported"


def test_rows_of_the_same_roles_are_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    ask = chat_template._RENDERER.ask
    monkeypatch.setattr(
        chat_template._RENDERER, "ask", lambda request: (asked.append(request), ask(request))[1]
    )
    turns = (Message(role="user", content="?"), Message(role="assistant", content="."))
    rows = [Conversation(id=str(n), messages=turns, lang="en") for n in range(50)]
    tokenize_conversations(rows, tiny_tokenizer())
    assert len(asked) == 2  # the trial, and the rows


def test_a_fork_gets_a_process_of_its_own() -> None:
    assert render("{{ 1 }}", {}) == "1"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, json.dumps([render("{{ n }}", {"n": n}) for n in range(50)]).encode())
        os._exit(0)
    ours_meanwhile = [render("{{ n }}", {"n": n}) for n in range(50)]
    os.close(writer)
    with os.fdopen(reader) as answers:
        assert json.loads(answers.read()) == ours_meanwhile == [str(n) for n in range(50)]
    os.waitpid(child, 0)


def test_the_error_of_a_row_is_the_rows() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        + CHATML_TEMPLATE
    )
    turns = [Message(role=role, content=".") for role in ("system", "user", "assistant")]
    with pytest.raises(DataError, match="no system"):
        tokenize_conversations([Conversation(id="r", messages=turns, lang="en")], tokenizer)
