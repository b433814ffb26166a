"""What can be said of a row by itself: its language, and the personal data in it."""

from collections import Counter
from collections.abc import Iterator

from pipeline.contracts.quality_checks import CheckCode, PersonalKind
from pipeline.data.quality.flags import Flag
from pipeline.data.quality.languages import Language
from pipeline.data.quality.personal_data import find_personal_data, veiled
from pipeline.data.quality.texts import meta_texts, text_fields
from pipeline.data.records import Record

_PERSONAL_CHECKS: dict[PersonalKind, CheckCode] = {
    "identity_number": "personal.identity_number",
    "mobile_phone": "personal.mobile_phone",
    "bank_card": "personal.bank_card",
    "email": "personal.email",
}


def language_flag(row: int, record: Record, found: Language | None) -> Flag | None:
    """The row says that it is in another language than its script tells."""
    declared = record.lang.casefold().replace("_", "-").split("-")[0]
    if found is None or found.code == declared:
        return None
    return Flag(
        row=row,
        id=record.id,
        check="language.differs",
        score=round(found.share, 3),
        params={"declared": record.lang, "found": found.code, "share": round(found.share, 2)},
    )


def personal_flags(row: int, record: Record) -> Iterator[Flag]:
    """One flag for each kind of personal data in the row, with its first place."""
    counts: Counter[PersonalKind] = Counter()
    first: dict[PersonalKind, tuple[str, str]] = {}
    for field, text in (*text_fields(record), *meta_texts(record.meta)):
        for span in find_personal_data(text):
            first.setdefault(span.kind, (field, veiled(span)))
            counts[span.kind] += 1
    for kind, count in counts.items():
        field, value = first[kind]
        yield Flag(
            row=row,
            id=record.id,
            check=_PERSONAL_CHECKS[kind],
            score=float(count),
            params={"field": field, "value": value, "count": count},
        )
