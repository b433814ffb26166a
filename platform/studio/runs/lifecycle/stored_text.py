"""What a child wrote, as the columns of a run can hold it."""

from django.db.models import Model

from pipeline.contracts.storable import MAX_TEXT_CHARS, storable_text


def fitting(model: type[Model], column: str, text: str) -> str:
    """`text` as the column of `model` can hold it: PostgreSQL refuses what is longer."""
    max_chars = getattr(model._meta.get_field(column), "max_length", None)
    return storable_text(text, max_chars=max_chars or MAX_TEXT_CHARS)
