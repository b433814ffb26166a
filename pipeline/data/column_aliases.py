"""The names experts give the columns and keys of each field, besides the field's own.

A name stands for one field of a kind. Names are compared as `column_names.compared_name` has them.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pipeline.contracts.references import DatasetKind
from pipeline.data.column_names import compared_name

_COMMON: Mapping[str, Sequence[str]] = {
    "id": (
        "id",
        "\u7f16\u53f7",
        "\u5e8f\u53f7",
        "\u9898\u53f7",
        "\u6807\u8bc6",
    ),
    "lang": (
        "lang",
        "language",
        "\u8bed\u8a00",
        "\u8bed\u79cd",
    ),
    "source": (
        "source",
        "\u6765\u6e90",
        "\u51fa\u5904",
        "\u6570\u636e\u6765\u6e90",
    ),
    "license": (
        "license",
        "licence",
        "\u8bb8\u53ef",
        "\u8bb8\u53ef\u8bc1",
    ),
    "meta": ("meta",),
}
_EXCHANGE: Mapping[str, Sequence[str]] = {
    "instruction": (
        "instruction",
        "question",
        "prompt",
        "query",
        "\u95ee\u9898",
        "\u63d0\u95ee",
        "\u6307\u4ee4",
        "\u9898\u76ee",
        "\u95ee",
        "\u95ee\u53e5",
        "\u95ee\u9898\u63cf\u8ff0",
        "\u95ee\u9898\u5185\u5bb9",
        "\u7528\u6237\u95ee\u9898",
        "\u7528\u6237\u63d0\u95ee",
        "\u54a8\u8be2\u95ee\u9898",
        "\u54a8\u8be2\u5185\u5bb9",
        "\u63d0\u793a",
        "\u63d0\u793a\u8bcd",
        "\u8bd5\u9898",
        "\u9898\u5e72",
    ),
    "input": (
        "input",
        "context",
        "\u8f93\u5165",
        "\u6750\u6599",
        "\u80cc\u666f",
        "\u4e0a\u4e0b\u6587",
        "\u80cc\u666f\u6750\u6599",
        "\u53c2\u8003\u6750\u6599",
        "\u9605\u8bfb\u6750\u6599",
        "\u80cc\u666f\u4fe1\u606f",
        "\u8865\u5145\u4fe1\u606f",
    ),
    "output": (
        "output",
        "answer",
        "response",
        "reference",
        "completion",
        "target",
        "reply",
        "reference_answer",
        "\u7b54\u6848",
        "\u56de\u7b54",
        "\u53c2\u8003\u7b54\u6848",
        "\u8f93\u51fa",
        "\u7b54",
        "\u56de\u590d",
        "\u7b54\u590d",
        "\u89e3\u7b54",
        "\u7b54\u6848\u5185\u5bb9",
        "\u56de\u7b54\u5185\u5bb9",
        "\u56de\u590d\u5185\u5bb9",
        "\u7b54\u590d\u5185\u5bb9",
        "\u6807\u51c6\u7b54\u6848",
        "\u6807\u51c6\u56de\u7b54",
        "\u6807\u51c6\u7b54\u590d",
        "\u53c2\u8003\u56de\u7b54",
        "\u53c2\u8003\u7b54\u590d",
        "\u6b63\u786e\u7b54\u6848",
        "\u4e13\u5bb6\u7b54\u6848",
        "\u4e13\u5bb6\u56de\u7b54",
        "\u671f\u671b\u8f93\u51fa",
        "\u671f\u671b\u56de\u7b54",
    ),
    "system": (
        "system",
        "\u7cfb\u7edf\u63d0\u793a",
        "\u7cfb\u7edf\u63d0\u793a\u8bcd",
    ),
    "history": (
        "history",
        "\u5386\u53f2",
        "\u5bf9\u8bdd\u5386\u53f2",
        "\u5386\u53f2\u5bf9\u8bdd",
    ),
    "messages": ("messages",),
}
_CHOICE: Mapping[str, Sequence[str]] = {
    "question": (
        "question",
        "\u95ee\u9898",
        "\u9898\u76ee",
        "\u9898\u5e72",
        "\u8bd5\u9898",
        "\u9898\u76ee\u5185\u5bb9",
        "\u9898\u5e72\u5185\u5bb9",
        "\u8bd5\u9898\u5185\u5bb9",
        "\u9898\u76ee\u63cf\u8ff0",
    ),
    "answer": (
        "answer",
        "\u7b54\u6848",
        "\u6b63\u786e\u7b54\u6848",
        "\u53c2\u8003\u7b54\u6848",
        "\u6807\u51c6\u7b54\u6848",
        "\u6b63\u786e\u9009\u9879",
        "\u7b54\u6848\u9009\u9879",
        "correct_answer",
    ),
    "choices": (
        "choices",
        "options",
        "\u9009\u9879",
        "\u5907\u9009\u9879",
        "\u9009\u9879\u5185\u5bb9",
        "\u5168\u90e8\u9009\u9879",
    ),
    "other_answers": ("other_answers",),
}
_OPTIONS: Mapping[str, Sequence[str]] = {
    letter: tuple(
        form.format(letter.lower())
        for form in (
            "{}",
            "option_{}",
            "option{}",
            "choice_{}",
            "choice{}",
            "\u9009\u9879{}",
            "{}\u9009\u9879",
            "{}\u9879",
        )
    )
    for letter in "ABCDEFGH"
}
_DOCUMENT: Mapping[str, Sequence[str]] = {
    "text": (
        "text",
        "content",
        "\u6b63\u6587",
        "\u5185\u5bb9",
        "\u6587\u672c",
        "\u6b63\u6587\u5185\u5bb9",
        "\u6587\u672c\u5185\u5bb9",
        "\u6587\u7ae0\u5185\u5bb9",
        "\u6587\u6863\u5185\u5bb9",
        "\u5168\u6587",
        "\u6587\u7ae0",
        "\u6bb5\u843d",
        "\u8bed\u6599",
        "body",
        "document",
        "passage",
        "article",
    ),
    "title": (
        "title",
        "\u6807\u9898",
        "\u6587\u7ae0\u6807\u9898",
        "\u6587\u6863\u6807\u9898",
        "\u9898\u540d",
        "headline",
    ),
}


def _by_name(*tables: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    names = {
        compared_name(name): field
        for table in tables
        for field, aliases in table.items()
        for name in aliases
    }
    return MappingProxyType(names)


ALIASES: Mapping[DatasetKind, Mapping[str, str]] = MappingProxyType(
    {
        "corpus": _by_name(_COMMON, _DOCUMENT),
        "conversations": _by_name(_COMMON, _EXCHANGE),
        "domain_test": _by_name(_COMMON, _EXCHANGE),
        "multiple_choice": _by_name(_COMMON, _CHOICE, _OPTIONS),
    }
)
"""Compared name -> field. Columns and keys found here are mapped without being asked."""

PAIRED_ALIASES: Mapping[str, str] = MappingProxyType({"q": "instruction", "a": "output"})
"""Of questions and answers, where both are there: alone they may be anything."""
