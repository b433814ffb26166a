"""What is given out and uploaded again is what it was."""

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Conversation, Document, DomainItem, Message, MultipleChoiceItem
from pipeline.data.version_files import RowWriter
from studio.datasets.exports import EXPORTS, export_refusal
from studio.datasets.workbook_stream import MAX_CELL_CHARS

# Texts as people and programs write them, and what tables and spreadsheets trip over.
PIECES = ["国有资产", "answer", "'", "=SUM(A1)", "-", "@", '"', ",", ";", "\t", "\n", "\r\n", " ",
          "\u3000", "000001", "12.5%", "_x0041_", "\x01", "&<>", "[", "{", "😀"]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
FULL_TEXT = TEXT.map(lambda text: f"{text}监管{text}")
META = st.dictionaries(
    st.sampled_from(["topic", "年份", "meta", "n"]),
    TEXT | st.integers(-(10**17), 10**17) | st.booleans() | st.none() | st.lists(TEXT, max_size=2),
    max_size=3,
)
COMMON = {"lang": st.sampled_from(["zh", "en"]), "source": TEXT, "license": TEXT, "meta": META}
TURNS = st.lists(FULL_TEXT, min_size=2, max_size=6).map(
    lambda texts: tuple(
        Message(
            role=("user", "assistant")[index % 2],
            content=text,
            weight=0 if index == 1 and len(texts) > 3 else 1,
        )
        for index, text in enumerate(texts[: len(texts) // 2 * 2])
    )
)
CHOICES = st.lists(FULL_TEXT, min_size=2, max_size=10, unique=True)
OWN = {
    "corpus": (Document, {"text": FULL_TEXT, "title": st.none() | FULL_TEXT}),
    "conversations": (Conversation, {"messages": TURNS}),
    "domain_test": (
        DomainItem,
        {
            "instruction": FULL_TEXT,
            "input": TEXT,
            "output": FULL_TEXT,
            "system": st.just("") | FULL_TEXT,
            "history": st.lists(st.tuples(FULL_TEXT, FULL_TEXT), max_size=2).map(tuple),
        },
    ),
    "multiple_choice": (MultipleChoiceItem, {"question": FULL_TEXT}),
}


@st.composite
def records(draw, kind):
    record, fields = OWN[kind]
    found = []
    for number in range(draw(st.integers(1, 4))):
        values = {name: draw(values) for name, values in {**COMMON, **fields}.items()}
        if kind == "multiple_choice":
            choices = tuple(draw(CHOICES))
            numbers = st.integers(0, len(choices) - 1)
            answer, *others = sorted(draw(st.sets(numbers, min_size=1, max_size=3)))
            values |= {"choices": choices, "answer": answer, "other_answers": tuple(others)}
        found.append(record(id=f"{draw(TEXT)}a{number}", **values))
    return found


def stored(path, kind, rows):
    with RowWriter(path, kind) as writer:
        for row in rows:
            writer.append(row)
    return path


@pytest.mark.parametrize("suffix", EXPORTS)
@pytest.mark.parametrize("kind", OWN)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_an_export_can_be_uploaded_again(kind, suffix, data, tmp_path) -> None:
    rows = data.draw(records(kind))
    path = stored(tmp_path / "rows.parquet", kind, rows)
    assert export_refusal(path, suffix) == ""
    given_out = tmp_path / f"export.{suffix}"
    given_out.write_bytes(b"".join(EXPORTS[suffix][1](path)))
    assert list(scan_rows(given_out, Reading(kind=kind))) == rows


def test_a_cell_that_no_workbook_holds_is_refused(tmp_path) -> None:
    def refusal(text, suffix):
        rows = [Document(id="a", lang="zh", text=text)]
        with translation.override("en"):
            return export_refusal(stored(tmp_path / "rows.parquet", "corpus", rows), suffix)

    assert refusal("长" * MAX_CELL_CHARS, "xlsx") == ""
    assert "text of the row a has 32,768 characters" in refusal("长" * 32_768, "xlsx")
    # Characters outside the first plane count twice there.
    assert "32,768" in refusal("😀" * 16_384, "xlsx")
    assert refusal("长" * 40_000, "csv") == ""
