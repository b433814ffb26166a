"""All checks over all rows: three passes over the file, and what each of them flags.

The first pass looks at rows by themselves and takes down 193 bytes of each for the comparison with
others (16 of its digest, 168 of its bands on disk, 9 besides), and 8 for each text field. The
second names near duplicates and counts lines that may be repeated, the third, where there are any,
names the rows that hold them. The order of the rows decides everything: the same file gives the
same flags.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.contracts.quality_checks import (
    CHECK_CODES,
    CheckCount,
    CheckDatasetResults,
    LengthRule,
    RepeatedLine,
)
from pipeline.data.quality.boilerplate import RepeatedLines
from pipeline.data.quality.exact_duplicates import ExactDuplicates
from pipeline.data.quality.flags import Flag, FlagWriter, excerpt
from pipeline.data.quality.languages import find_language
from pipeline.data.quality.lengths import Lengths
from pipeline.data.quality.near_duplicates import BandKeys, KeptRows
from pipeline.data.quality.row_checks import language_flag, personal_flags
from pipeline.data.quality.test_overlap import BLOCKING_SHARE, Hit, ItemIndex, RowWindows
from pipeline.data.quality.texts import answers, own_text, row_text, text_fields
from pipeline.data.records import Record

MAX_REPEATED_LINES = 20

RowsAgain = Callable[[], Iterator[tuple[int, Record]]]
"""A new pass over (index from 0, row)."""


def check_version(
    rows: RowsAgain,
    *,
    flags: FlagWriter,
    test_sets: Sequence[ItemIndex],
    similarity: float,
    scratch: Path,
) -> CheckDatasetResults:
    """What was found; the flags are written.

    Args:
        rows: Called for each pass.
        flags: Where flags go.
        test_sets: Overlap with these is looked for.
        similarity: From which rows are near duplicates, 0 to 1.
        scratch: A directory for what is too large for memory.
    """
    duplicates, lines = ExactDuplicates(), RepeatedLines()
    bands = BandKeys(scratch / "bands")
    languages: Counter[str] = Counter()
    lengths: dict[str, Lengths] = {}
    num_rows = 0
    try:
        for row, record in rows():
            num_rows += 1
            duplicates.add(row_text(record))
            bands.add(own_text(record))
            lines.sketch(_written(record))
            language = find_language("\n".join(text for _field, text in text_fields(record)))
            languages["und" if language is None else language.code] += 1
            if flag := language_flag(row, record, language):
                flags.append(flag)
            for flag in personal_flags(row, record):
                flags.append(flag)
            for flag in _overlap_flags(row, record, test_sets):
                flags.append(flag)
            for field, length in _lengths(record):
                lengths.setdefault(field, Lengths(field)).add(row, length)
        rules = {field: rule for field, one in lengths.items() if (rule := one.rule())}
        outliers = {
            row: (length, rules[field])
            for field in sorted(rules)
            for row, length in lengths[field].outliers(rules[field])
        }
        kept = _flag_related(rows(), flags, duplicates, bands, lines, outliers, similarity)
    finally:
        bands.discard()
    repeated = lines.repeated()
    if repeated:
        _flag_repeated(rows(), flags, lines)
    return CheckDatasetResults(
        num_rows=num_rows,
        num_flagged_rows=flags.num_flagged_rows,
        checks=tuple(
            CheckCount(check=code, num_rows=flags.num_by_check[code])
            for code in CHECK_CODES
            if flags.num_by_check[code]
        ),
        num_duplicate_groups=len(kept),
        languages=dict(languages.most_common()),
        length_rules=tuple(rules[field] for field in sorted(rules)),
        repeated_lines=tuple(
            RepeatedLine(line=excerpt(line), num_rows=count)
            for line, count in list(repeated.items())[:MAX_REPEATED_LINES]
        ),
        test_sets=tuple(test_set.summary() for test_set in test_sets),
    )


def _written(record: Record) -> str:
    return "\n".join(answers(record))


def _lengths(record: Record) -> Iterator[tuple[str, int]]:
    """Characters of the fields that have a length of their own: turns count together."""
    totals: Counter[str] = Counter()
    for field, text in text_fields(record):
        totals[field.partition(".")[0]] += len(text)
    for field, length in totals.items():
        if field in {"text", "messages", "instruction", "output", "question"}:
            yield field, length


def _overlap_flags(row: int, record: Record, test_sets: Sequence[ItemIndex]) -> Iterator[Flag]:
    if not test_sets:
        return
    windows = RowWindows(record)
    worst: list[Hit] = []
    for test_set in test_sets:
        hits = test_set.hits(windows)
        test_set.remember(row, record.id, hits)
        worst += hits[:1]
    if worst:
        hit = max(worst, key=lambda hit: hit.share)
        yield Flag(
            row=row,
            id=record.id,
            check="overlap.test_set",
            score=round(hit.share, 3),
            params={
                "test_set": hit.test_set,
                "item": hit.item_id,
                "share": round(hit.share, 3),
                "blocks": int(hit.share >= BLOCKING_SHARE),
                "text": hit.text,
            },
        )


def _flag_related(
    rows: Iterator[tuple[int, Record]],
    flags: FlagWriter,
    duplicates: ExactDuplicates,
    bands: BandKeys,
    lines: RepeatedLines,
    outliers: dict[int, tuple[int, LengthRule]],
    similarity: float,
) -> set[int]:
    """The second pass; the rows that are kept of groups of duplicates."""
    originals = dict(duplicates.repetitions())
    has_copies = set(originals.values())
    related = bands.related()
    near = KeptRows(bands, related, similarity)
    ids: dict[int, str] = {}
    kept: set[int] = set()
    for row, record in rows:
        if row in has_copies or related[row] >= 0:
            ids[row] = record.id
        lines.count(_written(record))
        original = originals.get(row)
        found = None if original is None else (original, 1.0)
        if original is None and related[row] >= 0:
            found = near.original_of(row, own_text(record))
        near.leave(row)
        if found is not None:
            kept.add(found[0])
            flags.append(
                Flag(
                    row=row,
                    id=record.id,
                    check="duplicate.near" if original is None else "duplicate.exact",
                    score=round(found[1], 3),
                    params={"kept": ids[found[0]], "kept_row": found[0]},
                )
            )
        if row in outliers:
            length, rule = outliers[row]
            flags.append(_length_flag(row, record, length, rule))
    return kept


def _length_flag(row: int, record: Record, length: int, rule: LengthRule) -> Flag:
    return Flag(
        row=row,
        id=record.id,
        check="length.short" if length < rule.shortest else "length.long",
        score=float(length),
        params={
            "field": rule.field,
            "length": length,
            "shortest": rule.shortest,
            "longest": rule.longest,
        },
    )


def _flag_repeated(
    rows: Iterator[tuple[int, Record]], flags: FlagWriter, lines: RepeatedLines
) -> None:
    """The third pass."""
    for row, record in rows:
        if found := lines.most_repeated(_written(record)):
            line, count = found
            flags.append(
                Flag(
                    row=row,
                    id=record.id,
                    check="boilerplate.line",
                    score=float(count),
                    params={"line": excerpt(line), "num_rows": count},
                )
            )
