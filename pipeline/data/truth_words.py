"""Right and wrong as people write them: the choices and answers of true-or-false questions."""

from collections.abc import Sequence

_PAIRS = (
    ("\u5bf9", "\u9519"),
    ("\u6b63\u786e", "\u9519\u8bef"),
    ("\u6b63\u786e", "\u4e0d\u6b63\u786e"),
    ("\u5bf9", "\u4e0d\u5bf9"),
    ("\u5bf9\u7684", "\u9519\u7684"),
    ("\u662f", "\u5426"),
    ("\u771f", "\u5047"),
    ("\u221a", "\u00d7"),
    ("\u221a", "x"),
    ("\u2713", "\u2717"),
    ("\u2714", "\u2718"),
    ("\u2713", "\u00d7"),
    ("\u2714", "\u00d7"),
    ("true", "false"),
    ("t", "f"),
    ("yes", "no"),
    ("y", "n"),
    ("right", "wrong"),
    ("correct", "incorrect"),
)
"""The word for right and the one for wrong that goes with it, in lower case."""
_WRITTEN_OUT = (("\u6b63\u786e", "\u9519\u8bef"), ("\u5bf9", "\u9519"), ("\u662f", "\u5426"))
_ENGLISH = ("True", "False")
_TRUTHS = {
    word: is_true for pair in _PAIRS for word, is_true in zip(pair, (True, False), strict=True)
}


def truth_of(text: str) -> bool | None:
    """Whether the word says right or wrong; None for any other. `text` is in NFKC, stripped."""
    return _TRUTHS.get(text.casefold())


def index_of_truth(choices: Sequence[str], *, is_true: bool) -> int | None:
    """Which of the two choices says so; None unless they are a word for right and its opposite."""
    words = tuple(choice.casefold() for choice in choices)
    if words in _PAIRS:
        return 0 if is_true else 1
    return (1 if is_true else 0) if words[::-1] in _PAIRS else None


def choices_for(answer: str, *, lang: str) -> tuple[str, str] | None:
    """The two choices of a question that gives none, in the words of its answer; None for others.

    Signs and single letters stand for the usual words of the language.
    """
    if truth_of(answer) is None:
        return None
    for pair in _WRITTEN_OUT:
        if answer in pair:
            return pair
    return _WRITTEN_OUT[1] if lang == "zh" else _ENGLISH
