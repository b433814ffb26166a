"""The product's import of one file, as its child process runs it."""

import time
from pathlib import Path

import pyarrow as pa

from bench.uploads.measured import Measured, measured
from pipeline.contracts.events import MetricsLogged, Payload
from pipeline.contracts.import_results import ImportDatasetResults
from pipeline.contracts.import_specs import ImportDatasetSpec
from pipeline.contracts.references import UploadRef
from pipeline.execution import JsonlEventSink, RunContext
from pipeline.recipes import import_dataset

# The first value that pyarrow makes has it load pandas, which is a library like the others.
pa.scalar("")


class _Watch:
    """Passes events on and notes when the first rejected row was told."""

    def __init__(self, sink: JsonlEventSink, began: float) -> None:
        self._sink, self._began = sink, began
        self.first_error_seconds: float | None = None

    def emit(self, payload: Payload) -> None:
        self._sink.emit(payload)
        if (
            self.first_error_seconds is None
            and isinstance(payload, MetricsLogged)
            and payload.metrics.get("rejected")
        ):
            self.first_error_seconds = time.perf_counter() - self._began


def imported(path: Path, directory: Path) -> Measured:
    """The file has become `directory/dataset`."""
    spec = ImportDatasetSpec(
        source=UploadRef(path=str(path)),
        file_name=path.name,
        dataset_kind="domain_test",
        policy="valid_rows",
    )
    sink = JsonlEventSink(directory / "events.jsonl", run_id="bench", attempt=1)

    def work(began: float) -> tuple[int, int, float | None]:
        watch = _Watch(sink, began)
        context = RunContext(run_dir=directory, spec_digest="0" * 64, events=watch)
        results = import_dataset.run(spec, context).results
        if not isinstance(results, ImportDatasetResults):
            raise TypeError(f"an import ended with {results}")
        return results.num_rows, results.num_rejected, watch.first_error_seconds

    return measured(work)
