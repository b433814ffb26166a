"""Personal data in rows becomes placeholders; nothing else of a row changes, not one character."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

from pipeline.contracts.quality_checks import PersonalKind
from pipeline.data.quality.personal_data import PersonalSpan, find_personal_data, veiled
from pipeline.data.records import Conversation, Document, DomainItem, Record

MaskStyle = Literal["name", "number", "partial"]
NAMES: dict[str, dict[PersonalKind, str]] = {
    "zh": {
        "identity_number": "身份证号",
        "mobile_phone": "手机号",
        "bank_card": "银行卡号",
        "email": "电子邮箱",
    },
    "en": {
        "identity_number": "identity number",
        "mobile_phone": "phone number",
        "bank_card": "card number",
        "email": "e-mail address",
    },
}
"""What a placeholder is called, in the language of the row; rows of others take English."""


class Masker:
    """Replaces personal data the same way in every row of a version.

    Numbered placeholders count different values of a kind in the order in which they come: equal
    values have equal placeholders in the whole version, and nothing in a placeholder is made of the
    value.
    """

    def __init__(self, kinds: Collection[PersonalKind], style: MaskStyle) -> None:
        self.num_masked: Counter[PersonalKind] = Counter()
        self._kinds = frozenset(kinds)
        self._style = style
        self._numbers: dict[tuple[PersonalKind, str], int] = {}
        self._num_values: Counter[PersonalKind] = Counter()

    def masked(self, record: Record) -> Record:
        """The record with placeholders, in its texts and in `meta`; itself if it needs none."""
        names = NAMES["zh" if record.lang.casefold().startswith("zh") else "en"]

        def text(value: str) -> str:
            return self._text(value, names)

        changed: Record
        if isinstance(record, Document):
            title = None if record.title is None else text(record.title)
            changed = replace(record, title=title, text=text(record.text))
        elif isinstance(record, Conversation):
            turns = tuple(replace(turn, content=text(turn.content)) for turn in record.messages)
            changed = replace(record, messages=turns)
        elif isinstance(record, DomainItem):
            history = tuple((text(question), text(answer)) for question, answer in record.history)
            changed = replace(
                record,
                system=text(record.system),
                history=history,
                instruction=text(record.instruction),
                input=text(record.input),
                output=text(record.output),
            )
        else:
            choices = tuple(map(text, record.choices))
            changed = replace(record, question=text(record.question), choices=choices)
        changed = replace(changed, meta=self._value(record.meta, names))
        return record if changed == record else changed

    def _text(self, text: str, names: Mapping[PersonalKind, str]) -> str:
        parts: list[str] = []
        end = 0
        for span in find_personal_data(text):
            if span.kind in self._kinds:
                self.num_masked[span.kind] += 1
                parts += text[end : span.start], self._placeholder(span, names)
                end = span.end
        return "".join([*parts, text[end:]]) if parts else text

    def _value(self, value: Any, names: Mapping[PersonalKind, str]) -> Any:
        """A value of `meta`; a number that is personal data becomes a text."""
        if isinstance(value, str):
            return self._text(value, names)
        if isinstance(value, Mapping):
            return {key: self._value(item, names) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item, names) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            written = str(value)
            masked = self._text(written, names)
            return value if masked == written else masked
        return value

    def _placeholder(self, span: PersonalSpan, names: Mapping[PersonalKind, str]) -> str:
        if self._style == "partial":
            return veiled(span)
        name = names[span.kind]
        if self._style == "name":
            return f"[{name}]"
        key = span.kind, span.value
        if key not in self._numbers:
            self._num_values[span.kind] += 1
            self._numbers[key] = self._num_values[span.kind]
        gap = " " if name.isascii() else ""
        return f"[{name}{gap}{self._numbers[key]}]"
