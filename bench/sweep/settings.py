"""The settings of a sweep: one factor at a time around a default."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What is the same for both arms; `draft_length` is the draft's alone."""

    draft_length: int = 2
    input_tokens: int | None = None
    """Length of each prompt; None: the questions as they are."""
    batch: int = 1
    temperature: float = 0.0

    @property
    def factor(self) -> str:
        """What differs from the default."""
        return next((name for name, _value in self._changes()), "default")

    @property
    def value(self) -> str:
        """Of the factor."""
        return next((f"{value:g}" for _name, value in self._changes()), "-")

    def _changes(self) -> Iterator[tuple[str, float]]:
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                yield field.name, value


DEFAULT = Setting()


def swept(
    draft_lengths: Sequence[int],
    inputs: Sequence[int],
    batches: Sequence[int],
    temperatures: Sequence[float],
) -> list[Setting]:
    """The default, then each other value of each factor."""
    found = [
        DEFAULT,
        *(replace(DEFAULT, draft_length=one) for one in draft_lengths),
        *(replace(DEFAULT, input_tokens=one) for one in inputs),
        *(replace(DEFAULT, batch=one) for one in batches),
        *(replace(DEFAULT, temperature=one) for one in temperatures),
    ]
    return list(dict.fromkeys(found))
