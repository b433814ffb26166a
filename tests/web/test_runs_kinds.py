"""The record of each kind of run: complete, and used where a kind decides something."""

from pipeline.contracts.kinds import RUN_KINDS, RUN_SPECS
from studio.registry.models import checkpoint_kinds
from studio.runs.kinds import KINDS, kind_label


def test_every_kind_of_the_contract_has_a_record_and_nothing_else_does() -> None:
    assert set(KINDS) == set(RUN_KINDS)
    assert all(name == kind.name for name, kind in KINDS.items())


def test_measured_field_is_a_reference_of_the_spec() -> None:
    for kind in KINDS.values():
        if kind.measured_field:
            assert kind.measured_field in RUN_SPECS[kind.name].model_fields, kind.name


def test_checkpoint_kinds_fit_their_column_and_are_told_apart() -> None:
    names = [name for name, _label in checkpoint_kinds()]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 20 for name in names)


def test_kind_of_another_version_is_shown_by_its_name() -> None:
    assert kind_label("preference_tuning") == "preference_tuning"
