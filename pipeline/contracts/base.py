"""What every contract shares: frozen, strict, versioned, and errors that name the dotted path."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import SpecError

SCHEMA_VERSION: Literal[1] = 1


class Contract(BaseModel):
    """A frozen value whose JSON form is stable: unknown keys and silent coercions are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def parse(cls, document: str | bytes) -> Self:
        """The contract written in a JSON document.

        Raises:
            SpecError: `spec.invalid`, one line for each problem, with its dotted path.
        """
        try:
            return cls.model_validate_json(document)
        except ValidationError as exc:
            raise SpecError("spec.invalid", describe_validation_error(exc)) from exc


class SpecBase(Contract):
    """Fields every run has."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str = Field(default="", max_length=200)
    """A label for people; part of the digest, without effect on the result."""
    seed: int = Field(default=0, ge=0, lt=2**31)


def validation_problems(error: ValidationError) -> list[tuple[str, str]]:
    """(dotted path, message) for each problem; the web forms show them on their fields.

    Union tags that pydantic puts into the location (`continual_pretrain`) are not part of the
    document a person wrote, so they are left out.
    """
    problems = []
    for item in error.errors(include_url=False):
        location = [part for part in item["loc"] if part not in UNION_TAGS]
        path = ".".join(str(part) for part in location) or "(whole document)"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] not in {"missing", "value_error"} and not isinstance(item["input"], dict):
            message = f"{message} (got {item['input']!r})"
        problems.append((path, message))
    return problems


def describe_validation_error(error: ValidationError) -> str:
    """All problems of a validation error, one a line."""
    problems = validation_problems(error)
    lines = [f"  {path}: {message}" for path, message in problems]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return f"{count} in the document:\n" + "\n".join(lines)


UNION_TAGS: set[str] = set()
"""Tags of discriminated unions, filled where the unions are defined."""
