"""A spec as it was written, and what identifies it.

A run is identified by the document it was started with, so that the run directories, checkpoints
and reports of one that was written in an earlier version of a contract still belong together.
"""

import json
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.contracts.base import SpecBase
from pipeline.contracts.codec import bytes_digest, canonical_bytes, canonical_json
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.specs import AnySpec, PlanSpec, parse_run_spec, parse_spec
from pipeline.contracts.upgrades import upgrade_spec
from pipeline.errors import SpecError

SpecT = TypeVar("SpecT", bound=SpecBase)
SpecT_co = TypeVar("SpecT_co", bound=SpecBase, covariant=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecDocument(Generic[SpecT_co]):
    """What a run is asked to do, with the bytes and the digest that identify it."""

    spec: SpecT_co
    canonical: bytes
    """Canonical JSON in the version in which the document was written."""
    digest: str
    """SHA-256 of `canonical`, lower-case hexadecimal."""


def read_spec(document: str | bytes) -> SpecDocument[AnySpec]:
    """The spec in a JSON document of any version, a plan's included.

    Raises:
        SpecError: as `parse_spec`.
    """
    return _identified(parse_spec(document), document)


def read_run_spec(document: str | bytes) -> SpecDocument[RunSpec]:
    """The spec of one run in a JSON document of any version; a plan is refused.

    Raises:
        SpecError: as `parse_run_spec`.
    """
    return _identified(parse_run_spec(document), document)


def read_plan_spec(document: str | bytes) -> SpecDocument[PlanSpec]:
    """The spec of a plan in a JSON document of any version; the spec of one run is refused.

    Raises:
        SpecError: as `parse_spec`.
    """
    spec = parse_spec(document)
    if not isinstance(spec, PlanSpec):
        raise SpecError("spec.invalid", f"kind: a plan was expected, got {spec.kind!r}")
    return _identified(spec, document)


def spec_document(spec: SpecT) -> SpecDocument[SpecT]:
    """The document of a spec that was made here, in the current version."""
    canonical = canonical_json(spec)
    return SpecDocument(spec=spec, canonical=canonical, digest=bytes_digest(canonical))


def _identified(spec: SpecT, document: str | bytes) -> SpecDocument[SpecT]:
    written = json.loads(document)
    if upgrade_spec(written) == written:
        return spec_document(spec)
    canonical = canonical_bytes(written)
    return SpecDocument(spec=spec, canonical=canonical, digest=bytes_digest(canonical))
