"""Importing the heavy libraries without what they import on the side."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_scikit_learn() -> Iterator[None]:
    """Libraries imported inside find no scikit-learn, and do without it.

    It is installed because lm-eval asks for it. transformers takes a curve from it for a way of
    assisted generation and NLTK a wrapper of classifiers, neither of which is used here, and both
    import it, pandas and scipy.stats for that: 0.9 of the 5 seconds in which a run starts.
    Outside it can be imported as ever.
    """
    if "sklearn" in sys.modules:
        yield
        return
    # What import statements and importlib.util.find_spec take for "there is no such module".
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["sklearn"]
