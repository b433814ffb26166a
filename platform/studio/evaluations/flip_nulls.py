"""What a base loses of its own answers when it is asked again, in the reader's words."""

from collections.abc import Mapping, Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.contracts.evaluation_results import FlipNull, Flips
from pipeline.contracts.samples import NullName
from studio.measures.numbers import ARROW, NONE, interval, percent

NULLS: Mapping[NullName, Promise] = {
    "numerical": gettext_lazy("numerical"),
    "prompt": gettext_lazy("prompt"),
}
CHANGES: Mapping[str, Promise] = {
    "batch_size": gettext_lazy("batch size"),
    "number_format": gettext_lazy("number format"),
    "wording": gettext_lazy("wording"),
}


def null_rates(nulls: Sequence[FlipNull]) -> str:
    """`numerical 0.0% [0.0, 5.6], n = 64`; a dash where the base was asked once."""
    rates = []
    for null in nulls:
        bounds = interval(null.rate, scale=100, digits=1)
        rate = f"{percent(null.rate.value)} {bounds}".strip()
        rates.append(f"{NULLS[null.name]} {rate}, n = {null.rate.n:,}")
    return "; ".join(rates) or NONE


def beyond_nulls(flips: Flips) -> str:
    """Whether more was lost than the base loses by itself; a dash where nobody knows."""
    if flips.exceeds_null is None:
        return NONE
    return _("more than by itself") if flips.exceeds_null else _("no detectable forgetting")


def varied(nulls: Sequence[FlipNull]) -> str:
    """What was different when the base was asked again; empty where that is not known."""
    texts = []
    for null in nulls:
        changes = ", ".join(
            f"{CHANGES[change.what]} {change.before}{ARROW}{change.after}"
            for change in null.changes
        )
        if changes:
            texts.append(f"{NULLS[null.name]}: {changes}")
    return "; ".join(texts)
