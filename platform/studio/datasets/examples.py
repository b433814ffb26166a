"""The demonstration's files, which every project may read."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

EXAMPLE_KINDS = {
    "corpus_domain": "corpus",
    "corpus_general": "corpus",
    "sft_weak": "conversations",
    "sft_expert": "domain_test",
    "domain_test": "domain_test",
    "unseen_questions": "domain_test",
    "general_mcq": "multiple_choice",
}
"""Kind of the rows of each file, by the first part of its name."""
EXAMPLE_LANGS = ("zh", "en")


def example_stems() -> Iterator[tuple[str, str]]:
    """(first part of the name, language) of every file."""
    return ((stem, lang) for lang in EXAMPLE_LANGS for stem in EXAMPLE_KINDS)


def example_path(stem: str, lang: str) -> Path:
    """Where the file is."""
    return Path(settings.ROOT) / "examples" / "soae_demo" / f"{stem}.{lang}.jsonl"
