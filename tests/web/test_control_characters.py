"""Nothing that is sent in any place of a request ends as an error of ours (500).

Addresses, query names, forms and fields are found in the program; on PostgreSQL, which refuses NUL
and halves of surrogate pairs, the same file runs by `make test-postgres`.
"""

import importlib
import json
import pkgutil
import random
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import BaseForm, CharField, Form, Textarea
from django.test import Client, RequestFactory
from django.urls import reverse

import studio
from studio.accounts.models import Project, Role
from studio.datasets.models import Upload
from studio.pages.forms import CheckedTextMixin
from studio.pages.request_text import only_text_encodings
from studio.pages.text import control_character
from studio.wsgi import application
from tests.web.test_pages import ARGUMENTS, PAGES

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.generated]

SOURCE = Path(studio.__path__[0])
CONTROLS = {
    "NUL": "\0",
    "escape": "\x1b[31m",
    "bell": "\x07",
    "delete": "\x7f",
    "C1": "\x9b2J",
}
"""Each may be the whole of a text or a part of it."""
STRANGE = {
    "very long": "x" * 20_000,
    "many digits": "9" * 5000,
    "large number": "9" * 19,
    "minus": "-1",
    "full-width digit": "\N{FULLWIDTH DIGIT ONE}",
    "not a number": "NaN",
    "half of a pair": "\N{REPLACEMENT CHARACTER}",
    "last plane": "\U0010ffff",
    "noncharacter": "\uffff",
    "line separator": "\u2028",
    "right to left": "\N{RIGHT-TO-LEFT OVERRIDE}",
    "percent": "%00%ed%a0%80",
}
RAW_BYTES = ("%00", "a%00b", "%1b", "%7f", "%c2%9b", "%ed%a0%80", "%ff", "%c0%80", "%u0000")
QUERY_NAMES = sorted(
    {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"GET(?:\.get|\.getlist)?[(\[]\"(\w+)\"", path.read_text())
    }
    | {"before", "after", "attempt", "from", "never_heard_of"}
)
POST_NAMES = ("idempotency_key", "language", "theme", "next", "role", "note", "name", "username",
              "document", "document_key", "csrfmiddlewaretoken")  # fmt: skip


@pytest.fixture
def admin(client, factories, samples):
    user = factories.make_user("boss", project=Project.objects.get(slug="sampled"), role=Role.ADMIN)
    client.force_login(user)
    client.raise_request_exception = False
    return user


@pytest.fixture
def address(samples):
    """The address of a page, with one argument replaced by raw text."""

    def address_of(name: str) -> str:
        return reverse(name, kwargs={key: samples["sampled"][key] for key in ARGUMENTS[name]})

    return address_of


def drawn(*names: str) -> random.Random:
    """The same draw each time, another for each page."""
    return random.Random("-".join(names))


def read(response) -> int:
    """The status, once a streamed answer was read to its end."""
    if response.streaming:
        b"".join(response.streaming_content)
    return response.status_code


@pytest.mark.parametrize("name", PAGES)
def test_an_address_with_a_control_character_does_not_exist(client, admin, address, name) -> None:
    parts = address(name).split("/")
    for raw in RAW_BYTES:
        position = drawn(name, raw).randrange(1, len(parts))
        changed = "/".join([*parts[:position], parts[position] + raw, *parts[position + 1 :]])
        response = getattr(client, PAGES[name].method)(changed)
        assert read(response) in (302, 404), changed
        if raw in ("%00", "%1b", "%7f", "%c2%9b"):
            assert response.status_code == 404, changed


@pytest.mark.parametrize("name", [name for name in PAGES if PAGES[name].method == "get"])
def test_a_query_with_a_control_character_is_a_bad_request(client, admin, address, name) -> None:
    page, rng = address(name), drawn(name)
    text = rng.choice(list(CONTROLS.values()))
    assert read(client.get(page, {rng.choice(QUERY_NAMES): f"a{text}b"})) == 400
    assert read(client.get(page, {f"a{text}b": "unknown"})) == 400
    for text in rng.sample(list(STRANGE.values()), 5):
        assert read(client.get(page, dict.fromkeys(QUERY_NAMES, text))) < 500, text[:20]
    for raw in ("%ed%a0%80", "%ff", "99999999999999999999", "1.99999999999"):
        query = "&".join(f"{query_name}={raw}" for query_name in QUERY_NAMES)
        assert read(client.get(f"{page}?{query}")) < 500, raw


def forms_of(response) -> list[BaseForm]:
    """The forms that a page was made with."""
    found = {}
    contexts = response.context if isinstance(response.context, list) else [response.context or ()]
    for context in contexts:
        for layer in context:
            for value in layer.values():
                if isinstance(value, BaseForm):
                    found[id(value)] = value
    return list(found.values())


@pytest.mark.parametrize("name", [name for name in PAGES if PAGES[name].method == "get"])
def test_a_control_character_in_a_form_is_an_error_of_its_field(
    client, admin, address, name
) -> None:
    queries = [{}] if name != "launch:run" else [
        {"kind": kind} for kind in ("evaluate", "speculative_decode", "logit_distill",
                                    "curriculum_sft", "continual_pretrain")
    ]  # fmt: skip
    for query in queries:
        page = f"{address(name)}?{'&'.join(f'{k}={v}' for k, v in query.items())}"
        response = client.get(page)
        if read(response) != 200 or response.streaming:
            return
        for form in forms_of(response):
            for text in (CONTROLS["NUL"], CONTROLS["escape"]):
                sent = {form.add_prefix(field): f"a{text}b" for field in form.fields}
                answer = client.post(page, sent)
                assert read(answer) < 500, (name, text)
                again = [one for one in forms_of(answer) if type(one) is type(form)]
                if not again or not again[0].is_bound:
                    continue  # a form of another address, such as the language switch
                for field, kind in form.fields.items():
                    if type(kind) is CharField and "\0" not in text:
                        assert "U+" in str(again[0].errors.get(field)), (name, field, text)


@pytest.mark.parametrize("name", PAGES)
def test_no_posted_text_is_an_error_of_ours(client, admin, address, name, samples) -> None:
    for text in drawn(name).sample([*CONTROLS.values(), *STRANGE.values()], 5):
        response = client.post(address(name), dict.fromkeys(POST_NAMES, f"a{text}"))
        assert read(response) < 500, (name, text[:20])


def all_forms() -> set[type[BaseForm]]:
    for app in apps.get_app_configs():
        if app.name.startswith("studio."):
            package = importlib.import_module(app.name)
            for module in pkgutil.iter_modules(package.__path__, f"{app.name}."):
                importlib.import_module(module.name)

    def below(form: type[BaseForm]) -> set[type[BaseForm]]:
        return {form}.union(*(below(child) for child in form.__subclasses__()))

    return {form for form in below(BaseForm) if form.__module__.startswith("studio.")}


def test_every_form_checks_its_texts() -> None:
    forms = all_forms()
    assert len(forms) > 10
    assert {form for form in forms if not issubclass(form, CheckedTextMixin)} == set()


def test_line_ends_are_for_boxes_of_several_lines() -> None:
    class Both(CheckedTextMixin, Form):
        line, box = CharField(), CharField(widget=Textarea)

    form = Both({"line": "a\nb", "box": "a\r\n\tb"})
    assert set(form.errors) == {"line"}


HEADERS = (
    "accept-language", "accept", "user-agent", "referer", "cookie", "if-none-match", "x-csrftoken",
    "x-requested-with", "x-forwarded-for", "x-forwarded-proto", "hx-request", "hx-current-url",
    "content-type", "origin", "host", "range", "if-modified-since", "accept-encoding",
)  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_is_an_error_of_ours(client, admin, header) -> None:
    session = client.cookies["sessionid"].value
    texts = [*CONTROLS.values(), *STRANGE.values(), "\xff\xfe", "zh-Hans;q=" + "9" * 400, ",;=,",
             'sessionid="\\000aaaaaaaaa"', 'django_language="\\000"', "sessionid=" + "a" * 9000,
             "\N{CJK UNIFIED IDEOGRAPH-56FD}\N{CJK UNIFIED IDEOGRAPH-8D44}"]  # fmt: skip
    for text in texts:
        for page in ("/sign-in/", "/p/sampled/runs/"):
            # As a server hands it over: bytes, one in each character.
            sent = {"cookie": f"sessionid={session}"} | {header: text.encode().decode("latin-1")}
            status = read(client.get(page, headers=sent))
            assert status < 500, (text[:30], page)
            if control_character(text):
                assert status == 400
    assert read(client.post("/preferences/", {"theme": "dark"}, headers={header: "\xff"})) < 500
    anonymous = Client(raise_request_exception=False)
    escaped = {"cookie": 'sessionid="\\000aaaaaaaaa"'}
    assert anonymous.get("/sign-in/", headers=escaped).status_code == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x; charset=unicode_escape",
        "multipart/form-data; boundary=x; charset=utf-7",
        "multipart/form-data; boundary=x; charset=utf-16",
        "application/x-www-form-urlencoded; charset=raw_unicode_escape",
        "application/x-www-form-urlencoded; charset=no-such",
    ],
)
def test_a_body_in_another_encoding_is_a_bad_request(client, admin, content_type) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="theme"\r\n\r\n\\ud800+2AA-\r\n--x--\r\n'
    response = client.generic("POST", "/preferences/?a=%5Cud800", body, content_type=content_type)
    assert response.status_code == 400
    length = {"CONTENT_LENGTH": "many"}
    page = "/p/sampled/datasets/upload/"
    assert client.post(page, {"name": "a"}, **length).status_code < 500


@pytest.mark.parametrize("charset", ["hex", "rot13", "zip", "undefined", "no-such", "idna", "a\0"])
def test_a_body_in_no_text_encoding_is_a_bad_request(charset) -> None:
    """Django would fail while it makes the request; the server calls what is tested here."""
    environ = RequestFactory()._base_environ(CONTENT_TYPE=f"text/plain; charset={charset}")
    answers = []

    def inner(environ, start_response):
        start_response("200 OK", [])
        return []

    def start(status, headers):
        answers.append(status)

    list(only_text_encodings(inner)(environ, start))
    list(only_text_encodings(inner)(environ | {"CONTENT_TYPE": "a/b; charset=UTF-8"}, start))
    assert answers == ["400 Bad Request", "200 OK"]
    assert application.__qualname__.startswith(only_text_encodings.__name__)


@pytest.mark.parametrize("encoding", ["hex", "unicode_escape", "utf-7", "no-such", "utf-16"])
def test_a_part_in_another_encoding_is_no_error_of_ours(client, admin, encoding) -> None:
    for parameter in ("name", "filename"):
        names = {"name": '"theme"', "filename": '"f"'}
        others = "".join(f"; {key}={value}" for key, value in names.items() if key != parameter)
        body = (
            f"--x\r\nContent-Disposition: form-data; {parameter}*={encoding}''%5Cud800%2B2AA-"
            f"{others}\r\n\r\ndark\r\n--x--\r\n"
        ).encode()
        content_type = "multipart/form-data; boundary=x"
        for page in ("/preferences/", "/p/sampled/datasets/upload/"):
            assert client.generic("POST", page, body, content_type=content_type).status_code < 500


FILE_NAMES = (
    "a\0.csv", "..", ".", "", "/", "../../x.csv", "a\x1b[2J.csv", "\x9b.csv", "\u202evsc.exe",
    "x" * 300 + ".csv", "-rf.csv", "CON.csv", "a\r\nSet-Cookie: a=b.csv", "a\u2028b.csv",
    "&#0;.csv", "&#xd800;.csv", "%00.csv", "a\uffff.csv", "\U000e0001.csv", "<b>.csv",
    "a;b=c.csv", 'a".csv',
)  # fmt: skip


@pytest.mark.parametrize("name", FILE_NAMES)
def test_no_file_name_is_an_error_of_ours(client, admin, name) -> None:
    file = SimpleUploadedFile("x.csv", f"问题,答案\nQ,A{FILE_NAMES.index(name)}\n".encode())
    file._name = name
    fields = {"kind": "domain_test", "name": ""}
    response = client.post("/p/sampled/datasets/upload/", {"file": file, **fields})
    assert response.status_code < 500
    for stored in Upload.objects.filter(project__slug="sampled"):
        assert stored.file_name.isprintable()
        assert "/" not in stored.file_name


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\u001b", "\\u009b", "\\udfff\\ud800"])
def test_a_typed_spec_with_a_control_character_is_refused_at_its_field(
    client, admin, factories, escape
) -> None:
    spec = factories.evaluation_spec(name="MARK")
    where = {"field": "MARK", "values": ["MARK"], "keep": True}
    spec["text_overlap"]["dataset"]["where"] = [where]
    whole = json.dumps(spec)
    pieces = whole.split("MARK")
    documents = [
        "MARK".join(pieces[:number]) + escape + "MARK".join(pieces[number:])
        for number in range(1, len(pieces))
    ]
    documents += [whole.replace('"keep"', f'"{escape}"'), f'"{escape}"', f'["{escape}"]']
    for document in documents:
        page = "/p/sampled/runs/launch/?kind=evaluate"
        response = client.post(page, {"document": document, "document_key": "k"})
        assert response.status_code == 400
        assert response.context["document_form"].errors["document"]


@pytest.mark.parametrize(
    "document",
    [
        "[" * 100_000,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"kind": "evaluate", "model": ' + '{"object": ' * 500 + "1" + "}" * 501,
        '{"kind": "evaluate", "seed": ' + "9" * 5000 + "}",
        '{"kind": "evaluate", "seed": NaN}',
        '{"kind": "evaluate", "seed": 1e999}',
        '{"kind": ["evaluate"]}',
        '{"schema_version": [], "kind": {}}',
        "null",
        "1",
        '"evaluate"',
    ],
)
def test_no_document_is_an_error_of_ours(client, admin, document) -> None:
    page = "/p/sampled/runs/launch/?kind=evaluate"
    response = client.post(page, {"document": document, "document_key": "k"})
    assert response.status_code == 400
    assert response.context["document_form"].errors["document"]
