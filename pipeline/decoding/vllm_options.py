"""What vLLM is asked for when an engine opens.

Refused by code is what it cannot do, and what it would do differently without an error.
"""

from pathlib import Path

from pipeline.contracts.decoding_spec import (
    DraftModelArm,
    Int8DraftArm,
    NGramArm,
    SpeculativeArm,
)
from pipeline.errors import DecodingError
from pipeline.modeling.loading import require_same_vocabulary

DTYPES = ("float32", "float16", "bfloat16")
# vLLM takes a draft whose path contains one of these for another kind of draft, whatever the
# configuration says.
DRAFT_PATH_TRAPS = ("eagle-", "eagle3", "dflash", "dspark")


def check_dtype(dtype: str) -> None:
    """vLLM computes in `dtype`.

    Raises:
        DecodingError: `decode.unsupported_option`.
    """
    if dtype not in DTYPES:
        raise _refused(f"dtype is {dtype!r}; vLLM knows {', '.join(DTYPES)}.")


def speculative_config(
    target: Path, arm: SpeculativeArm | None, num_speculative_tokens: int | None
) -> dict[str, object] | None:
    """vLLM's own words for an arm; None for the target alone.

    Args:
        target: Directory of the model whose output is wanted.
        arm: The way of drafting.
        num_speculative_tokens: Draft length g; needed with an arm.

    Raises:
        DecodingError: `decode.unsupported_option`, also for a method vLLM is not asked for here.
        ModelError: `model.vocabulary_mismatch`.
    """
    if (arm is None) != (num_speculative_tokens is None):
        raise _refused(
            f"The arm is {arm and arm.name!r} and num_speculative_tokens is "
            f"{num_speculative_tokens}; give both or neither."
        )
    if arm is None or num_speculative_tokens is None:
        return None
    if num_speculative_tokens < 1:
        raise _refused(
            f"num_speculative_tokens is {num_speculative_tokens}; it must be at least 1."
        )
    match arm:
        case DraftModelArm() | Int8DraftArm():
            drafting = _draft_model(target, arm)
        case NGramArm():
            drafting = {
                "method": "ngram",
                "prompt_lookup_max": arm.max_ngram,
                "prompt_lookup_min": arm.min_ngram,
            }
        case _:
            raise _refused(
                f"Arm {arm.name!r}: the engine 'vllm' is not asked to draft by {arm.method!r}. "
                "Leave the arm out, or use the engine 'torch'."
            )
    return drafting | {"num_speculative_tokens": num_speculative_tokens}


def _draft_model(target: Path, arm: DraftModelArm | Int8DraftArm) -> dict[str, object]:
    path = arm.model.resolved_path
    if trap := next((trap for trap in DRAFT_PATH_TRAPS if trap in path.lower()), None):
        raise _refused(
            f"The draft's path {path} contains {trap!r}, which vLLM takes for the name of another "
            "kind of draft. Move or rename the directory."
        )
    require_same_vocabulary(target, Path(path))
    return {"method": "draft_model", "model": path}


def _refused(problem: str) -> DecodingError:
    return DecodingError("decode.unsupported_option", problem)
