"""Duplicates beside brute force, and windows beside slices."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.quality.exact_duplicates import ExactDuplicates
from pipeline.data.quality.near_duplicates import MIN_CHARACTERS, BandKeys, KeptRows
from pipeline.data.quality.texts import canonical
from pipeline.data.quality.windows import character_windows, word_windows

ALPHABET = "国有资产监督管理企业改革发展投资"


def shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def similarity(left: str, right: str) -> float:
    return len(shingles(left) & shingles(right)) / len(shingles(left) | shingles(right))


def near_duplicates(texts: list[str], scratch: Path, threshold: float) -> dict[int, tuple]:
    keys = BandKeys(scratch / "bands")
    for text in texts:
        keys.add(text)
    kept = KeptRows(keys, keys.related(), threshold)
    found = {}
    for row, text in enumerate(texts):
        if original := kept.original_of(row, text):
            found[row] = original
        kept.leave(row)
    assert kept._sketches == {}, "what no later row can be similar to is forgotten"
    keys.discard()
    return found


def test_near_duplicates_are_those_of_brute_force(tmp_path: Path) -> None:
    generator = random.Random(7)
    texts = ["".join(generator.choices(ALPHABET, k=generator.randint(25, 200))) for _ in range(60)]
    for source in range(60):  # copies with a few characters changed, far and near
        changed = list(texts[source])
        for _ in range(generator.choice([0, 1, 1, 2, 4, 9])):
            changed[generator.randrange(len(changed))] = generator.choice(ALPHABET)
        texts.append("".join(changed))
    texts += ["很短的文字"] * 2
    expected: dict[int, tuple[int, float]] = {}
    for row, text in enumerate(texts):
        if len(text) < MIN_CHARACTERS:
            continue
        for other in range(row):
            if other not in expected and similarity(text, texts[other]) >= 0.8:
                expected[row] = (other, similarity(text, texts[other]))
                break
    assert 20 < len(expected) < 60
    assert near_duplicates(texts, tmp_path, 0.8) == expected


@pytest.mark.parametrize("texts", [[], ["短"], ["短", "短"], ["国有资产监督管理" * 4]])
def test_few_and_short_texts_have_no_near_duplicates(tmp_path: Path, texts: list[str]) -> None:
    assert near_duplicates(texts, tmp_path, 0.8) == {}


def test_long_texts_are_compared_by_a_sketch(tmp_path: Path) -> None:
    generator = random.Random(1)
    text = "".join(chr(generator.randrange(0x4E00, 0x9FA5)) for _ in range(5_000))
    other = text[:4_700] + "改" * 50 + text[4_750:]
    found = near_duplicates([text, other], tmp_path, 0.8)
    assert abs(found[1][1] - similarity(text, other)) < 0.06


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "ａ", "A "]), max_size=12))
def test_exact_duplicates_are_those_of_a_dictionary(texts: list[str]) -> None:
    duplicates = ExactDuplicates()
    first: dict[str, int] = {}
    expected = []
    for row, text in enumerate(map(canonical, texts)):
        duplicates.add(text)
        if first.setdefault(text, row) != row:
            expected.append((row, first[text]))
    assert list(duplicates.repetitions()) == expected


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab国，\U00020000", max_size=30), st.integers(1, 4))
def test_equal_windows_and_only_they_have_equal_hashes(text: str, size: int) -> None:
    hashes = character_windows(text, size).tolist()
    windows = [text[start : start + size] for start in range(len(text) - size + 1)]
    assert len(hashes) == len(windows)
    assert len(dict(zip(windows, hashes, strict=True))) == len(set(hashes))
    assert len(set(zip(windows, hashes, strict=True))) == len(set(hashes))
    moved = character_windows(f"另{text}", size).tolist()
    assert moved[1:] == hashes


def test_windows_of_words_do_not_see_what_stands_between() -> None:
    left, starts = word_windows("the  state-owned assets of the state", 3)
    right, _ = word_windows("The state, owned assets (of) the state".lower(), 3)
    assert left.tolist() == right.tolist()
    assert starts.tolist() == [0, 5, 11, 17, 24]
    assert len(word_windows("two words", 3)[0]) == 0
