"""Figures of a version: however its rows are grouped, they are those of counting row by row."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import version_figures
from pipeline.data.row_fields import detect_language
from pipeline.data.version_figures import RowFigures

VALUES = st.one_of(st.sampled_from("abcdefgh"), st.integers(0, 9), st.booleans(), st.none())
METAS = st.dictionaries(st.sampled_from(["topic", "page", "author", "x.y", "z"]), VALUES)
ROWS = st.lists(st.tuples(st.sampled_from(["zh", "en"]), st.integers(0, 9), METAS), min_size=1)


def figures_of(rows, group_sizes) -> tuple[object, object]:
    figures = RowFigures(("text", "other"))
    waiting = []
    for number, (lang, length, meta) in enumerate(rows):
        figures.add_row((length, 2 * length), meta)
        waiting.append(lang)
        if len(waiting) >= group_sizes[number % len(group_sizes)] or number == len(rows) - 1:
            columns = {"lang": waiting, "source": [""] * len(waiting)}
            figures.add_columns({**columns, "license": columns["source"]})
            waiting = []
    return figures.counts(), figures.lengths()


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_groups_do_not_change_the_figures(rows, group_sizes) -> None:
    limits = version_figures.MAX_COUNTED_VALUES, version_figures.MAX_COUNTED_KEYS
    version_figures.MAX_COUNTED_VALUES, version_figures.MAX_COUNTED_KEYS = 4, 6
    try:
        counts, lengths = figures_of(rows, group_sizes)
        assert (counts, lengths) == figures_of(rows, [1])
    finally:
        version_figures.MAX_COUNTED_VALUES, version_figures.MAX_COUNTED_KEYS = limits
    all_lengths = [length for _, length, _ in rows]
    assert (lengths["text"].min, lengths["other"].max) == (min(all_lengths), 2 * max(all_lengths))
    assert sum(counts["lang"].values.values()) == len(rows)


@given(
    st.text(st.one_of(st.sampled_from("国资ab \ud800\u4dff\u4e00\u9fff\ua000"), st.characters()))
)
def test_language_is_that_of_counting_each_character(text: str) -> None:
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in text[:400])
    expected = "zh" if chinese * 10 >= len(text[:400]) else "en"
    assert detect_language(text) == expected
