"""LLaMA-Factory's `dataset_info.json`: which of the files beside it has which columns and roles.

Its entries name a file, how its rows are written (`alpaca`, `sharegpt`, `openai`), the columns of
the prompt, answer or turns, and how turns say who speaks. Where an entry lists columns, those it
does not list mean nothing to that program; here they are kept in `meta`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.contracts.row_error_phrases import (
    INFO_FORMATTING,
    INFO_MEDIA,
    INFO_PREFERENCE,
    INFO_TOOLS,
)
from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.reading import Reading
from pipeline.data.turn_names import TurnNames

INFO_NAME = "dataset_info.json"
_PLACES = frozenset(
    {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
)
"""Keys of which every entry has one."""
_ALPACA_FIELDS = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "system": "system",
    "history": "history",
}
_TURN_FIELDS = {"messages": "conversations", "system": "system"}
_REFUSED_COLUMNS = {
    "chosen": INFO_PREFERENCE,
    "rejected": INFO_PREFERENCE,
    "kto_tag": INFO_PREFERENCE,
    "tools": INFO_TOOLS,
    "images": INFO_MEDIA,
    "videos": INFO_MEDIA,
    "audios": INFO_MEDIA,
}
_OWN_NAMES = ("instruction", "input", "output", "system", "history", "conversations", "messages")
_SHAREGPT_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}
_OPENAI_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetEntry:
    """One entry of a `dataset_info.json` that names a file."""

    name: str
    file_name: str
    """Of a file, or of a folder with several, from where the entry stands."""
    formatting: str
    columns: Mapping[str, str]
    tags: Mapping[str, str]
    is_ranking: bool

    @property
    def refusal(self) -> RowError | None:
        """Why the rows of the entry are not read; None where they are."""
        reasons = [_REFUSED_COLUMNS[key] for key in self.columns if key in _REFUSED_COLUMNS]
        if self.is_ranking:
            reasons.insert(0, INFO_PREFERENCE)
        if self.formatting not in {"alpaca", "sharegpt", "openai"}:
            reasons.append(INFO_FORMATTING)
        if not reasons:
            return None
        params = {"entry": excerpt(self.name), "reason": reasons[0]}
        return RowError(code="file.info_layout", params=params)

    def applied(self, reading: Reading) -> Reading:
        """The reading of the entry's file; what a person says of a column goes before."""
        is_alpaca = self.formatting == "alpaca"
        fields = dict(_ALPACA_FIELDS if is_alpaca else _TURN_FIELDS)
        if reading.kind == "corpus":
            fields = {"prompt": "text"}
        named = {column: fields[key] for key, column in self.columns.items() if key in fields}
        if named:
            unused = (name for name in _OWN_NAMES if name not in named)
            named = {**{name: f"meta.{name}" for name in unused}, **named}
        turns = None if is_alpaca else self._turn_names()
        return replace(reading, columns={**named, **reading.columns}, turns=turns)

    def _turn_names(self) -> TurnNames:
        defaults = _OPENAI_TAGS if self.formatting == "openai" else _SHAREGPT_TAGS
        # Tags that are not listed are none, once some are.
        tags = {**defaults, **self.tags}
        return TurnNames(
            role_key=tags["role_tag"],
            content_key=tags["content_tag"],
            roles={
                tags["user_tag"]: "human",
                tags["assistant_tag"]: "gpt",
                tags["system_tag"]: "system",
            },
        )


def entries_of(document: object) -> list[DatasetEntry] | None:
    """The entries that name a file; None where the document is not LLaMA-Factory's.

    A data set saved by another library has a file of the same name.
    """
    if not isinstance(document, dict) or not document:
        return None
    if not all(isinstance(entry, dict) and _PLACES & entry.keys() for entry in document.values()):
        return None
    return [
        DatasetEntry(
            name=name,
            file_name=str(entry["file_name"]),
            formatting=str(entry.get("formatting", "alpaca")),
            columns=_texts(entry.get("columns")),
            tags=_texts(entry.get("tags")),
            is_ranking=entry.get("ranking") is True,
        )
        for name, entry in document.items()
        if isinstance(entry.get("file_name"), str)
    ]


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}
