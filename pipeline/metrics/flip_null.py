"""How often a base loses its own right answers: the null that the flips of a training stand beside.

A base answered again under another batch size or number format (the numerical null), or with other
words around the question (the prompt null), loses some of its right answers too.
"""

from collections.abc import Sequence

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import FlipNull
from pipeline.contracts.samples import NullName
from pipeline.metrics.retention_groups import ItemGroup
from pipeline.metrics.retention_table import RetentionItem, RetentionTable
from pipeline.metrics.uncertainty import LEVEL


def measure_flip_null(
    name: NullName, items: Sequence[RetentionItem], *, level: float = LEVEL
) -> FlipNull:
    """Returns the rate of right answers lost between two runs of the base, with its exact interval.

    Definition: 1 -> 0 items / items that both runs scored; clusters divide the items by the design
        effect of the losses.
    Direction: low means that a few flips of a trained model are already worth a look.

    Args:
        items: right (1) or wrong (0); `base` is the first run, `new` the second.

    Raises:
        DataError, EvaluationError: as `RetentionTable.of`.
    """
    table = RetentionTable.of(items)
    group = ItemGroup.of_all(table, is_macro=False)
    return FlipNull(name=name, rate=group.share(table.base * (1.0 - table.new), level))


def exceeds(rate: Estimate, null: Estimate) -> bool | None:
    """Returns whether a flip rate lies above a null's, interval against interval.

    Definition: the lower bound of the rate is above the upper bound of the null, so that a null
        known from few items excludes little. None where either has no interval.
    """
    if rate.low is None or null.high is None:
        return None
    return rate.low > null.high
