"""What stored answers are worth under another profile of text overlap."""

from typing import Literal, get_args

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate

ProfileName = Literal["canonical", "canonical-v2", "lf-zh-v1"]
"""What `pipeline.metrics.profiles` defines; evaluations store the figures of the first."""
PROFILE_NAMES: tuple[ProfileName, ...] = get_args(ProfileName)


class RescoredGroup(Contract):
    """Figures and flags of a set of answers."""

    n: int = Field(ge=1)
    figures: dict[str, Estimate]
    """By key of the profile's measures."""
    flags: dict[str, int]
    """Answers that have the flag, by its name; every flag is listed."""


class RescoredAnswers(Contract):
    """All answers of one `samples.parquet`, and those of each language apart."""

    profile: ProfileName
    signature: str
    """Everything the figures depend on; those of unequal signatures are not comparable."""
    all: RescoredGroup
    languages: dict[str, RescoredGroup]
    """By `lang` of the rows; "" where they have none."""
