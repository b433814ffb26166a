"""Libraries that start with a run find no scikit-learn; lm-eval, imported later, does."""

import importlib
import importlib.util
import sys
from types import ModuleType

import pytest

from pipeline.modeling.lean_imports import without_scikit_learn


def test_only_inside_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    with without_scikit_learn():
        assert importlib.util.find_spec("sklearn") is None
        with pytest.raises(ImportError):
            importlib.import_module("sklearn")
    assert "sklearn" not in sys.modules
    assert importlib.util.find_spec("sklearn") is not None


def test_one_that_is_loaded_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = ModuleType("sklearn")
    monkeypatch.setitem(sys.modules, "sklearn", loaded)
    with without_scikit_learn():
        assert importlib.import_module("sklearn") is loaded
    assert sys.modules["sklearn"] is loaded
