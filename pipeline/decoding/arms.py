"""What an arm of the decoding benchmark drafts with."""

import importlib

from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import SpeculativeArm
from pipeline.decoding.proposers.base import Proposer
from pipeline.errors import DecodingError


def open_proposer(arm: SpeculativeArm, target: PreTrainedModel) -> Proposer:
    """The arm's proposer, made by the module of `pipeline.decoding.proposers` of its method's name.

    Raises:
        DecodingError: `decode.unsupported_option`, there is no such module.
        ModelError: the arm names a model that cannot be loaded.
    """
    name = f"pipeline.decoding.proposers.{arm.method}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        raise DecodingError(
            "decode.unsupported_option",
            f"arm {arm.name!r}: the engine 'torch' cannot draft by {arm.method!r}; leave the arm "
            "out, or choose another engine",
        ) from exc
    proposer: Proposer = module.open_proposer(arm, target)
    return proposer
