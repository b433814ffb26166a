"""The word of a non-inferiority test."""

from enum import StrEnum


class Verdict(StrEnum):
    """Outcome of the non-inferiority test."""

    PASS = "PASS"  # noqa: S105 (a verdict)
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
