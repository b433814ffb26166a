"""Long texts in pieces that a model can take: cut where a reader would pause."""

import regex

_SENTENCE_ENDS = (*"。！？；…!?;", ". ")
_CLOSING = frozenset("”’」』）》)\"'")
_MAX_TRIES = 16
"""Of sentence ends that turn out to be none; a text made of such is cut between characters."""
_JOINING = regex.compile(r"[\p{M}\u200d]")
_CHARACTER = regex.compile(r"\X")
_BETWEEN_PLAIN = regex.compile(r"(?<=[\p{Han}A-Za-z0-9])(?=[\p{Han}A-Za-z0-9])")
_NEAR_CHARS = 64


def cut(text: str, limit: int) -> list[str]:
    """`text` in pieces of at most `limit` characters; joined they are the text again.

    A piece ends with the last paragraph (line) that fits; where none does, with the last sentence;
    where none does, with the last character as a reader counts them, so that no letter loses its
    accent. Only such a character that is longer than `limit` makes a longer piece. A text within
    the limit is one piece, the empty text is none.
    """
    pieces = []
    start = 0
    while len(text) - start > limit:
        end = text.rfind("\n", start, start + limit) + 1
        end = end or _last_sentence_end(text, start, start + limit)
        end = end or _last_character_end(text, start, start + limit)
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]] if start < len(text) else pieces


def _last_sentence_end(text: str, start: int, stop: int) -> int:
    """Where the last sentence that ends by `stop` ends; 0 where none does."""
    before = stop
    for _ in range(_MAX_TRIES):
        last = max(text.rfind(sign, start, before) for sign in _SENTENCE_ENDS)
        if last < 0:
            return 0
        end = last + 1
        while end < stop and text[end] in _CLOSING:
            end += 1
        # What closes a sentence and the marks on its sign belong to it: "！" may have a variation
        # selector. More text than the limit is left, so that there is a next character.
        if text[end] not in _CLOSING and not _JOINING.match(text[end]):
            return end
        before = last
    return 0


def _last_character_end(text: str, start: int, stop: int) -> int:
    # Between two plain letters one character ends for certain: it is enough to count from there.
    plain = _BETWEEN_PLAIN.search(text, max(start, stop - _NEAR_CHARS) + 1, stop)
    end = 0 if plain is None else plain.start()
    for match in _CHARACTER.finditer(text, end or start):
        if match.end() > stop:
            return end or match.end()
        end = match.end()
    return end
