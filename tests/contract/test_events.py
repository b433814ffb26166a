"""The event stream: one JSON object a line, never half a line, sequence numbers without gaps."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.contracts.events import parse_event
from pipeline.execution import JsonlEventSink, RunContext, StageProgress

GOLDEN = Path(__file__).parent / "golden/events.jsonl"


def test_stored_events_are_still_read() -> None:
    """Every kind of event once, as version 1 wrote them."""
    events = [parse_event(line) for line in GOLDEN.read_bytes().splitlines()]
    assert [event.kind for event in events] == [
        "RunStarted",
        "Progress",
        "MetricsLogged",
        "CheckpointSaved",
        "ArtifactWritten",
        "Warning",
        "RunSucceeded",
        "RunStopped",
        "RunFailed",
    ]
    assert [event.payload.kind for event in events] == [event.kind for event in events]
    assert b"\n".join(e.model_dump_json().encode() for e in events) + b"\n" == GOLDEN.read_bytes()


def test_an_unknown_key_is_refused() -> None:
    line = GOLDEN.read_bytes().splitlines()[0].replace(b'"v":1', b'"v":1,"host":"a"')
    with pytest.raises(ValidationError):
        parse_event(line)


def test_sequence_numbers_count_from_one(tmp_path: Path) -> None:
    sink = JsonlEventSink(tmp_path / "events.jsonl", run_id="r", attempt=2)
    context = RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=sink)
    context.log_metrics(1, loss=2.5)
    context.warn("data.rows_truncated", "three rows are cut")
    sink.close()
    events = [parse_event(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()]
    assert [(event.seq, event.attempt, event.kind) for event in events] == [
        (1, 2, "MetricsLogged"),
        (2, 2, "Warning"),
    ]


def test_a_warning_has_a_code_that_is_documented(tmp_path: Path) -> None:
    sink = JsonlEventSink(tmp_path / "events.jsonl", run_id="r", attempt=1)
    context = RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=sink)
    with pytest.raises(ValueError, match=r"no warning code 'data\.made_up'"):
        context.warn("data.made_up", "three rows are cut")
    sink.close()
    assert (tmp_path / "events.jsonl").read_bytes() == b""


def test_a_line_torn_by_a_kill_is_cut_before_appending(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    whole = GOLDEN.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(whole + b'{"v":1,"run_i')
    sink = JsonlEventSink(path, run_id="r", attempt=2)
    RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=sink).log_metrics(1, loss=1.0)
    sink.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines[0] == whole
    assert parse_event(lines[1]).attempt == 2


def test_progress_estimates_the_time_left_at_the_mean_rate() -> None:
    recorded = []

    class Recorder:
        def emit(self, payload: object) -> None:
            recorded.append(payload)

    now = [0.0]
    stage = StageProgress(
        Recorder(), stage="train", total=10, unit="steps", done=2, clock=lambda: now[0]
    )
    now[0] = 4.0
    stage.advance_to(4)
    assert recorded[0].eta_seconds is None
    # Two steps took four seconds, six are left.
    assert recorded[-1].eta_seconds == pytest.approx(12.0)


def test_progress_is_reported_at_most_once_a_second_but_always_at_the_end() -> None:
    recorded = []

    class Recorder:
        def emit(self, payload: object) -> None:
            recorded.append(payload)

    now = [0.0]
    stage = StageProgress(Recorder(), stage="t", total=100, unit="rows", clock=lambda: now[0])
    for _ in range(100):
        now[0] += 0.05
        stage.advance()
    assert 5 <= len(recorded) <= 8
    assert recorded[-1].done == 100
