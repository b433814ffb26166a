"""Which key of a JSON object is which field: the names that columns may have.

A row that has its kind's own fields is read as it is written, whatever its other keys are called.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pipeline.contracts.references import DatasetKind
from pipeline.data.column_names import compared_name
from pipeline.data.columns import aliases_among

_COMPLETE: Mapping[DatasetKind, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        "corpus": (frozenset({"text"}),),
        "conversations": (
            frozenset({"messages"}),
            frozenset({"conversations"}),
            frozenset({"instruction", "output"}),
        ),
        "domain_test": (
            frozenset({"messages"}),
            frozenset({"conversations"}),
            frozenset({"instruction", "output"}),
        ),
        "multiple_choice": (
            frozenset({"question", "choices", "answer"}),
            frozenset({"question", "A", "B", "answer"}),
        ),
    }
)
"""Keys of each layout that is read as it is."""


def named_fields(keys: Sequence[str], kind: DatasetKind) -> Mapping[str, str]:
    """Key -> field, of the keys of an object that are another name of a field it lacks.

    Of questions that come as a bare `input`, that is the instruction; with an `instruction` and no
    `input`, a `question` is the input, as LawBench has it. A field that several keys could mean is
    left to a person.
    """
    own = frozenset(keys)
    if any(layout <= own for layout in _COMPLETE[kind]):
        return {}
    aliases = aliases_among(keys, kind)
    fields = set(aliases.values())
    meant = {
        key: field
        for key in keys
        if key not in fields and (field := aliases.get(compared_name(key))) is not None
    }
    wanted = list(meant.values())
    names = {
        key: field for key, field in meant.items() if field not in own and wanted.count(field) == 1
    }
    if kind in {"conversations", "domain_test"}:
        names |= _questions(own, meant)
    return names


def _questions(own: frozenset[str], meant: Mapping[str, str]) -> Mapping[str, str]:
    others = [key for key, field in meant.items() if field == "instruction"]
    inputs = [key for key in own if meant.get(key, key) == "input"]
    if "instruction" in own:
        is_question = len(others) == 1 and not inputs
        return {others[0]: "input"} if is_question else {}
    return {inputs[0]: "instruction"} if len(inputs) == 1 and not others else {}
