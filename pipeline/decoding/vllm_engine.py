"""vLLM behind the `Engine` seam: the fast engine on GPUs, tested for real with its CPU build.

`vllm` is imported when an engine is opened, never with this module: it needs seconds to import,
is absent from most machines, and reads its switches from the environment.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.contracts.decoding_spec import Int8DraftArm, SpeculativeArm
from pipeline.decoding.base import (
    Completion,
    SamplingParams,
    SpeculationStats,
    TokenLogprobs,
)
from pipeline.decoding.batching import check_fit
from pipeline.decoding.vllm_options import check_dtype, speculative_config
from pipeline.decoding.vllm_process import (
    EngineProcesses,
    cpu_settings,
    set_defaults,
    vllm_environment,
)
from pipeline.errors import DecodingError
from pipeline.modeling.clean_directory import clean_directory
from pipeline.modeling.inspection import read_model
from pipeline.modeling.int8_copy import int8_directory

if TYPE_CHECKING:
    import vllm

# vLLM raises a smaller temperature to this one with nothing but a line in its log.
MIN_TEMPERATURE = 0.01


class VllmEngine:
    """Decodes with vLLM, all prompts of a call in one continuous batch.

    The engine lives in processes of its own, started here and ended by `close`.

    Args:
        model_path: Directory of the target, in safetensors.
        arm: How to draft; None decodes the target alone.
        num_speculative_tokens: Draft length g; needed with an arm.
        dtype: `float32`, `float16` or `bfloat16`, of weights, activations and cache.
        seed: vLLM's own; output depends on `SamplingParams.seed`.
        max_model_len: Longest prompt and answer together; None takes the model's.
        max_logprobs: Largest `SamplingParams.num_logprobs` of a request.
        enforce_eager: No compilation and no CUDA graphs; None means on CPU only, where compiling
            takes minutes.

    Raises:
        ModelError: as `read_model`; `model.vocabulary_mismatch`.
        DecodingError: `decode.engine_unavailable` without the package,
            `decode.unsupported_option`, `decode.engine_failed` when vLLM does not start.
    """

    def __init__(
        self,
        model_path: Path,
        *,
        arm: SpeculativeArm | None = None,
        num_speculative_tokens: int | None = None,
        dtype: str = "bfloat16",
        seed: int = 0,
        max_model_len: int | None = None,
        max_logprobs: int = 20,
        enforce_eager: bool | None = None,
    ) -> None:
        self.name = "vllm" if arm is None else f"vllm_{arm.method}"
        model = read_model(model_path)
        facts = model.facts
        if facts.format == "gguf":
            raise DecodingError(
                "decode.unsupported_option",
                "The model is a GGUF file. Give vLLM the directory `dequantize_gguf` makes of it.",
            )
        check_dtype(dtype)
        drafting = speculative_config(model_path, arm, num_speculative_tokens)
        directories = ExitStack()
        directory = directories.enter_context(clean_directory(model))
        if drafting is not None and "model" in drafting:
            draft = Path(str(drafting["model"]))
            is_int8 = isinstance(arm, Int8DraftArm)
            opened = int8_directory(draft) if is_int8 else clean_directory(read_model(draft))
            drafting["model"] = str(directories.enter_context(opened))
        self._num_speculative_tokens = num_speculative_tokens or 0
        self.vocab_size: int = facts.vocab_size
        self.max_logprobs = max_logprobs
        with vllm_environment(is_speculative=arm is not None):
            from vllm import LLM
            from vllm.platforms import current_platform

            on_cpu = current_platform.is_cpu()
            if enforce_eager is None:
                enforce_eager = on_cpu
            if on_cpu:
                set_defaults(cpu_settings(enforce_eager=enforce_eager))
            # It would render a chat to warm up, and without a tokenizer log that as a failure.
            logging.getLogger("vllm.renderers.base").setLevel(logging.ERROR)
            try:
                self._llm: LLM | None = LLM(
                    model=str(directory),
                    skip_tokenizer_init=True,
                    dtype=dtype,
                    seed=seed,
                    max_model_len=max_model_len,
                    max_logprobs=max_logprobs,
                    logprobs_mode="raw_logprobs",
                    enforce_eager=enforce_eager,
                    speculative_config=drafting,
                    per_request_spec_decode_metrics="none" if arm is None else "detailed",
                    # A cached prefix would make prefill times depend on earlier prompts.
                    enable_prefix_caching=False,
                    # The times of each request are among the statistics.
                    disable_log_stats=False,
                    generation_config="vllm",
                )
            except (RuntimeError, ValueError, OSError) as error:
                directories.close()
                raise DecodingError(
                    "decode.engine_failed",
                    f"vLLM did not start for {model_path}: {error}. Its own messages in the "
                    "run's stderr.log name the cause; memory is the usual one: lower "
                    "max_model_len, or free the device.",
                ) from error
            self._processes = EngineProcesses(self._llm)
            self._directories = directories
        self.max_model_len: int = self._llm.model_config.max_model_len
        # With speculation its CPU code (up to at least 0.32) takes temperature, top-k and top-p
        # from uninitialised memory: wrong samples, or a crash.
        # github.com/vllm-project/vllm/issues/55005
        self._is_greedy_only = on_cpu and arm is not None

    def generate(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]:
        """One completion per prompt, in their order.

        `prefill_seconds` runs from the arrival of the prompt in the engine's queue to its first
        token, `decode_seconds` from there to the last token, both on the clock of the engine's
        process. A sampled answer depends on `params.seed` and on the prompt's place in `prompts`.

        Raises:
            DecodingError: as `Engine`.
        """
        import vllm
        from vllm.exceptions import VLLMValidationError
        from vllm.v1.engine.exceptions import EngineDeadError

        self._check_params(params)
        check_fit(prompts, params, vocab_size=self.vocab_size, max_context=self.max_model_len)
        if self._llm is None:
            raise DecodingError(
                "decode.engine_failed", "The vLLM engine is closed. Open another one."
            )
        try:
            with self._processes.watched():
                outputs = self._llm.generate(
                    [vllm.TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts],
                    [self._request_params(params, index) for index in range(len(prompts))],
                    use_tqdm=False,
                )
        except VLLMValidationError as error:
            raise DecodingError(
                "decode.unsupported_option",
                f"vLLM cannot decode as asked: {error} Change that option or use the engine "
                "'torch'.",
            ) from error
        except (EngineDeadError, RuntimeError) as error:
            raise DecodingError(
                "decode.engine_failed",
                f"vLLM died while it decoded {len(prompts)} prompts: {error} Its own messages in "
                "the run's stderr.log name the cause. Open the engine again.",
            ) from error
        return [_completion(output, params.num_logprobs) for output in outputs]

    def close(self) -> None:
        """The engine's processes have ended and their memory is returned; may be called twice."""
        if self._llm is not None:
            self._processes.close()
            self._directories.close()
            self._llm = None

    def _check_params(self, params: SamplingParams) -> None:
        if params.num_logprobs > self.max_logprobs:
            raise DecodingError(
                "decode.unsupported_option",
                f"num_logprobs is {params.num_logprobs} and this engine was opened for at most "
                f"{self.max_logprobs}. Open it with max_logprobs={params.num_logprobs}.",
            )
        if params.temperature > 0 and self._is_greedy_only:
            raise DecodingError(
                "decode.unsupported_option",
                f"temperature is {params.temperature}; with speculation vLLM samples wrongly on a "
                "CPU. Use temperature 0, a GPU, or the engine 'torch'.",
            )
        if 0 < params.temperature < MIN_TEMPERATURE:
            raise DecodingError(
                "decode.unsupported_option",
                f"temperature is {params.temperature}; vLLM knows 0 (greedy) and "
                f"{MIN_TEMPERATURE} or more.",
            )

    def _request_params(self, params: SamplingParams, index: int) -> "vllm.SamplingParams":
        import vllm

        is_greedy = params.temperature == 0
        # vLLM draws each request from its own seed: one seed for all would give equal prompts
        # equal answers.
        seed = int(np.random.SeedSequence([params.seed, index]).generate_state(1)[0])
        return vllm.SamplingParams(
            max_tokens=params.max_new_tokens,
            temperature=params.temperature,
            top_k=params.top_k or 0,
            top_p=1.0 if params.top_p is None else params.top_p,
            seed=None if is_greedy else seed,
            stop_token_ids=[] if params.ignore_stop else list(params.stop_token_ids),
            ignore_eos=True,  # only the caller's stop tokens end an answer, not the checkpoint's
            logprobs=params.num_logprobs or None,
            detokenize=False,
        )


def _completion(output: "vllm.RequestOutput", num_logprobs: int) -> Completion:
    answer = output.outputs[0]
    if answer.finish_reason not in ("stop", "length"):
        raise DecodingError(
            "decode.engine_failed",
            f"vLLM ended request {output.request_id} with {answer.finish_reason!r}. Its own "
            "messages in the run's stderr.log name the cause.",
        )
    token_ids = tuple(answer.token_ids)
    times = output.metrics
    logprobs = (
        tuple(
            _token_logprobs(position, token, num_logprobs)
            for position, token in zip(answer.logprobs, token_ids, strict=True)
        )
        if num_logprobs
        else ()
    )
    metrics = answer.spec_decode_metrics
    return Completion(
        token_ids=token_ids,
        finish_reason=answer.finish_reason,
        prefill_seconds=times.first_token_ts - times.queued_ts,
        decode_seconds=times.last_token_ts - times.first_token_ts,
        speculation=None if metrics is None else _speculation_stats(metrics, len(token_ids)),
        logprobs=logprobs,
    )


def _token_logprobs(
    position: "Mapping[int, vllm.logprobs.Logprob]", token: int, num_logprobs: int
) -> TokenLogprobs:
    """vLLM adds the sampled token to the most probable ones where it is not among them."""
    top = sorted(
        (entry.rank, candidate, entry.logprob)
        for candidate, entry in position.items()
        if len(position) == num_logprobs or candidate != token
    )
    return TokenLogprobs(
        token_ids=tuple(candidate for _, candidate, _ in top),
        logprobs=tuple(logprob for _, _, logprob in top),
        sampled_logprob=position[token].logprob,
    )


def _speculation_stats(
    metrics: "vllm.v1.metrics.stats.RequestSpecDecodeMetrics", num_tokens: int
) -> SpeculationStats:
    """Counts of one request, in the seam's terms.

    vLLM counts what the last round accepted behind the answer's end, which is never put out; we do
    not. Every round makes one token besides those it accepts, and the prefill makes the first. So
    rounds without a draft count as well, which leave no other trace. Where there are such rounds
    (lookup that finds nothing), what was accepted behind the end cannot be told from them: up to g
    tokens of an answer may count as accepted that were not.
    """
    accepted = list(metrics.per_step_accepted)
    surplus = sum(accepted) + len(accepted) - (num_tokens - 1)
    if surplus > 0:
        accepted[-1] -= surplus
    return SpeculationStats(
        num_drafts=sum(drafted > 0 for drafted in metrics.per_step_drafted),
        num_draft_tokens=metrics.num_draft_tokens,
        num_accepted_tokens=sum(accepted),
        accepted_per_position=tuple(
            sum(count > position for count in accepted)
            for position in range(metrics.num_spec_tokens)
        ),
        num_target_steps=num_tokens - 1 - sum(accepted),
    )
