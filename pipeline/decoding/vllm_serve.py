"""The command by which vLLM serves a benchmark's target with one of its arms."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.contracts.decoding_results import ArmResults
from pipeline.contracts.decoding_spec import Int8DraftArm, SpeculativeArm
from pipeline.decoding.vllm_options import speculative_config
from pipeline.errors import DecodingError


def serve_commands(
    target: Path,
    arms: Sequence[SpeculativeArm],
    results: Mapping[str, ArmResults],
    *,
    dtype: str,
) -> dict[str, str]:
    """By arm, a command line for a POSIX shell; only arms that vLLM can draft by.

    Args:
        target: The model whose output is wanted; vLLM serves none that is a single file.
        arms: Ways of drafting for it.
        results: By arm, with the draft length that was measured.
        dtype: Number format of the models.

    Raises:
        ModelError: as `speculative_config`.
    """
    commands = {}
    for arm in arms:
        paths = [target, *(Path(one.resolved_path) for one in arm.references().values())]
        if not all(path.is_dir() for path in paths):
            continue
        try:
            drafting = speculative_config(target, arm, results[arm.name].num_speculative_tokens)
        except DecodingError:  # it says no to this arm, and says why where it is asked to run it
            continue
        before = ""
        if isinstance(arm, Int8DraftArm) and drafting is not None:
            draft, copy = arm.model.resolved_path, f"{arm.model.resolved_path}-int8"
            made = ["python", "-m", "pipeline.modeling.int8_copy", draft, copy]
            before = f"{shlex.join(made)} && "
            drafting["model"] = copy
        asked = json.dumps(drafting, ensure_ascii=False)
        commands[arm.name] = before + shlex.join(
            ["vllm", "serve", str(target), "--dtype", dtype, "--speculative-config", asked]
        )
    return commands
