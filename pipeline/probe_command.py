"""`python -m pipeline probe`: whether the arms of a decoding benchmark would pay, and how much.

Nothing is timed but the probe's own rounds.
"""

import json
import logging
from pathlib import Path

from pipeline.contracts.decoding_results import DecodingCosts, Prediction
from pipeline.contracts.decoding_spec import SpeculativeDecodeSpec
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.events import Payload, Progress
from pipeline.contracts.speedup_words import REASONS, VERDICTS, change_words
from pipeline.execution import RunContext
from pipeline.recipes.speculative_decode import probe

_LOGGER = logging.getLogger(__name__)


class _ToLog:
    """Progress, for a person who waits."""

    def emit(self, payload: Payload) -> None:
        if isinstance(payload, Progress):
            _LOGGER.info(
                "%s: %g of %g %s", payload.stage, payload.done, payload.total, payload.unit
            )


def probe_text(spec: SpeculativeDecodeSpec, spec_digest: str, *, as_json: bool) -> str:
    """What the command prints.

    Raises:
        PipelineError: as `recipes.speculative_decode.probe`.
    """
    context = RunContext(run_dir=Path(), spec_digest=spec_digest, events=_ToLog())
    found = {
        name: (arm.num_speculative_tokens, arm.costs, arm.prediction)
        for name, arm in probe(spec, context).items()
        if arm.prediction is not None and arm.costs is not None
    }
    if as_json:
        document = {
            name: {
                "num_speculative_tokens": length,
                "costs": costs.model_dump(mode="json"),
                "prediction": prediction.model_dump(mode="json"),
            }
            for name, (length, costs, prediction) in found.items()
        }
        return json.dumps(document, indent=2)
    return "\n\n".join(
        _arm_text(name, length, costs, prediction)
        for name, (length, costs, prediction) in found.items()
    )


def _arm_text(name: str, length: int | None, costs: DecodingCosts, prediction: Prediction) -> str:
    value = prediction.speedup.value
    lengths = "  ".join(f"{g}: {one:.2f}x" for g, one in prediction.speedup_by_length.items())
    lines = [
        f"{name}: {_interval(prediction.speedup)} at draft length {length}",
        f"  verdict: {VERDICTS[prediction.verdict].en}: {REASONS[prediction.verdict].en}",
        f"  by draft length: {lengths}",
        f"  tokens a round {prediction.tokens_per_round:.3f}, cost of a round "
        f"{prediction.round_cost:.3f} plain steps of {1000 * costs.target_step_seconds:.1f} ms",
        f"  c {costs.c:.3f}, mean v {prediction.mean_v:.3f}, h {costs.h:+.3f}",
        f"  oracle bound {prediction.oracle_bound:.2f}x, share of it "
        f"{value / prediction.oracle_bound:.0%}",
    ]
    changes = change_words(prediction, costs.c)
    if changes is not None:
        lines.append(f"  {changes.en}")
    return "\n".join(lines)


def _interval(figure: Estimate) -> str:
    if figure.low is None or figure.high is None or figure.level is None:
        return f"{figure.value:.2f}x (one prompt, no interval)"
    return f"{figure.value:.2f}x [{figure.low:.2f}, {figure.high:.2f}], {figure.level:.0%}"
