"""The margin of the gauge of retention, fixed before any run that it judges, and what it stands on.

The margin is 2% of the bit per byte that a base needs for text of its own: the share that questions
may lose too (`GeneralAbilitySettings.retention_margin`). The planted models say where it lies
between what surely did no harm and what surely did.
"""

from dataclasses import dataclass

GAUGE_MARGIN = 0.02
"""Bits per byte of KL(base || model) on text the base wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedModel:
    """A model whose damage was known when its divergence was measured."""

    name: str
    value: float
    """Bits per byte."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What was measured, with which model, on how many passages."""

    date: str
    base: str
    num_passages: int
    harmless: PlantedModel
    """Must PASS."""
    harmful: PlantedModel
    """Must FAIL."""
    others: tuple[PlantedModel, ...]
    """Measured beside them; the margin was not fitted to these."""


CALIBRATION = Calibration(
    date="2026-11-28",
    base="SmolLM2-135M-Instruct",
    num_passages=40,
    harmless=PlantedModel(name="rounded to bf16", value=2.246e-05, low=1.95e-05, high=2.64e-05),
    harmful=PlantedModel(
        name="no replay, ten times the learning rate", value=0.2510, low=0.232, high=0.274
    ),
    others=(
        PlantedModel(name="rounded to 8 bits", value=0.000469, low=0.000412, high=0.000539),
        PlantedModel(name="rounded to 6 bits", value=0.01035, low=0.0091, high=0.0120),
        PlantedModel(name="rounded to 5 bits", value=0.0449, low=0.0397, high=0.0513),
        PlantedModel(name="rounded to 4 bits", value=0.1868, low=0.166, high=0.212),
        PlantedModel(name="as in the demonstration", value=0.0476, low=0.0441, high=0.0513),
    ),
)
"""`python -m bench gauge` measures it again."""
