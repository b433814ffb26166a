"""vLLM's own server understands the command that a benchmark shows."""

import os
import shlex
from collections.abc import Iterator

import pytest

from pipeline.contracts.decoding_results import ArmResults
from pipeline.contracts.decoding_spec import DraftModelArm, NGramArm
from pipeline.contracts.references import Reference
from pipeline.decoding.vllm_process import cpu_settings, set_defaults, vllm_environment
from pipeline.decoding.vllm_serve import serve_commands


@pytest.fixture
def _environment() -> Iterator[None]:
    with vllm_environment(is_speculative=True):
        set_defaults(cpu_settings(enforce_eager=True))
        yield


@pytest.mark.usefixtures("_environment")
def test_the_server_makes_the_engine_of_the_benchmark(target_path, draft_path) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    # The server itself is not installed with the CPU build; its command line is.
    parser = make_arg_parser(FlexibleArgumentParser())
    arms = [
        DraftModelArm(name="draft", model=Reference(path=str(draft_path))),
        NGramArm(max_ngram=4, min_ngram=2),
    ]
    length = ArmResults(
        tokens_per_second=1.0, prefill_seconds=1.0, decode_seconds=1.0, num_output_tokens=1,
        repeated_4gram_rate=0.0, num_speculative_tokens=3,
    )  # fmt: skip
    results = dict.fromkeys(("draft", "ngram"), length)
    found = serve_commands(target_path, arms, results, dtype="float32")
    configs = {}
    for name, command in found.items():
        program, subcommand, *words = shlex.split(command)
        assert (program, subcommand) == ("vllm", "serve")
        arguments = parser.parse_args(words)
        validate_parsed_serve_args(arguments)
        arguments.model = arguments.model_tag  # as `ServeSubcommand.cmd` does
        configs[name] = AsyncEngineArgs.from_cli_args(arguments).create_engine_config()
    for config in configs.values():
        assert config.model_config.model == str(target_path)
        assert str(config.model_config.dtype) == "torch.float32"
        assert config.speculative_config.num_speculative_tokens == 3
    drafting, lookup = (configs[name].speculative_config for name in ("draft", "ngram"))
    assert (drafting.method, drafting.model) == ("draft_model", str(draft_path))
    assert (lookup.method, lookup.prompt_lookup_max, lookup.prompt_lookup_min) == ("ngram", 4, 2)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
