"""How one item changed from the baseline to a candidate, in a symbol, a word and a number."""

from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext as _

from pipeline.metrics.paired import TIE_TOLERANCE
from studio.comparisons.pair_view import PairView
from studio.measures.numbers import NONE, difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """B's view of the item; the symbol and the word say it without colour."""

    symbol: str
    tone: str
    word: str
    text: str
    """The difference in the measure's unit."""


def change_of(item_id: str, view: PairView) -> Change:
    """The item's change in the view's measure."""
    index = view.pairs.item_ids.index(item_id)
    gain = view.pairs.gain(view.measure)[index]
    if np.isnan(gain):
        return Change(symbol="?", tone="warning", word=_("missing"), text=NONE)
    text = difference(view.measure, float(view.pairs.differences[view.measure.column][index]))
    if abs(gain) <= TIE_TOLERANCE:
        return Change(symbol="=", tone="secondary", word=_("tie"), text=text)
    if gain > 0:
        symbol = "\N{BLACK UP-POINTING TRIANGLE}"
        return Change(symbol=symbol, tone="success", word=_("better"), text=text)
    symbol = "\N{BLACK DOWN-POINTING TRIANGLE}"
    return Change(symbol=symbol, tone="danger", word=_("worse"), text=text)
