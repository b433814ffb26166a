"""The demonstration's data files as references of specs, with what is kept apart in them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.references import DatasetRef, RowFilter

RefT = TypeVar("RefT", bound=DatasetRef)


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """Which parts of the data are kept apart (`splits.json`)."""

    unseen_documents: tuple[str, ...]
    development_documents: tuple[str, ...]
    replayed_topics: tuple[str, ...]
    judged_topics: tuple[str, ...]


class DemonstrationData:
    """Data set references of one language, with digests."""

    def __init__(self, data_dir: Path, lang: str) -> None:
        self._data_dir, self._lang = data_dir, lang
        document = json.loads((data_dir / "splits.json").read_text(encoding="utf-8"))
        self.splits = Splits(
            unseen_documents=_ids(document["unseen_documents"], lang),
            development_documents=_ids(document["development_documents"], lang),
            replayed_topics=tuple(document["replay_topic_groups"]),
            judged_topics=tuple(document["retention_topic_groups"]),
        )

    def rows(
        self,
        reference: type[RefT],
        stem: str,
        kind: str,
        *where: RowFilter,
        limit: int | None = None,
    ) -> RefT:
        """Rows of a data file."""
        path = (self._data_dir / f"{stem}.{self._lang}.jsonl").resolve()
        return reference.model_validate(
            {
                "kind": kind,
                "path": str(path),
                "digest": file_sha256(path),
                "where": where,
                "limit": limit,
            }
        )

    def seen(self, field: str) -> RowFilter:
        """Keeps rows whose document may be trained on."""
        return RowFilter(field=field, values=self.splits.unseen_documents, keep=False)

    def unseen(self, field: str) -> RowFilter:
        """Keeps rows whose document is kept out of training."""
        return RowFilter(field=field, values=self.splits.unseen_documents)

    def development(self, field: str) -> RowFilter:
        """Keeps rows whose document is for choosing settings."""
        return RowFilter(field=field, values=self.splits.development_documents)

    def without_development(self, field: str) -> RowFilter:
        """Keeps the others."""
        return RowFilter(field=field, values=self.splits.development_documents, keep=False)

    @property
    def judged(self) -> RowFilter:
        """Keeps the topics that retention is judged on."""
        return RowFilter(field="meta.topic_group", values=self.splits.judged_topics)

    @property
    def replayed(self) -> RowFilter:
        """Keeps the topics that are replayed."""
        return RowFilter(field="meta.topic_group", values=self.splits.replayed_topics)


def _ids(stems: list[str], lang: str) -> tuple[str, ...]:
    return tuple(f"{stem}-{lang}" for stem in stems)
