"""A rival in an interpreter of its own: spoken to in lines, asleep in between, never a failure."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.answering.turns import NotRun, in_turns
from bench.rivals.child import Child
from bench.rivals.child_process import ROOT
from bench.rivals.serving import Stopwatch
from pipeline.decoding.base import Completion, SamplingParams

ANSWER = '{"token_ids": [5, 2], "prefill_seconds": 0.5, "decode_seconds": 0.25}'
ENGINE = """
from pathlib import Path
import torch
from bench.rivals.serving import Answer, serve
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.modeling.loading import load_model

def open_engine(options):
    print("what a library prints")
    model = load_model(Path(options.model), dtype=torch.float32, device="cpu")
    engine = AutoregressiveEngine(model)
    def answer(request):
        print("and again")
        stops = tuple(request.stop_token_ids)
        params = SamplingParams(max_new_tokens=request.max_new_tokens, stop_token_ids=stops)
        (found,) = engine.generate([request.token_ids], params)
        return Answer(list(found.token_ids), found.prefill_seconds, found.decode_seconds)
    return answer

serve(open_engine)
"""
ECHO = """
from bench.rivals.serving import Answer, serve
serve(lambda options: lambda request: Answer(request.token_ids[-2:], 0.5, 0.25))
"""
PARAMS = SamplingParams(max_new_tokens=4, stop_token_ids=(2,))


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def says(*lines: str) -> list[str]:
    """A rival that says these lines, each when it was asked, and then ends."""
    code = "import sys\nfor line in sys.argv[1:]:\n    print(line, flush=True); input()"
    return python(code, *lines)


def child(command: list[str], **options: float) -> Child:
    return Child(command, threads=1, vocab_size=100, **options)


def state(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    return status.partition("State:\t")[2][0]


def has_ended(pid: int) -> bool:
    try:
        return state(pid) == "Z"
    except OSError:
        return True


def wait_until(is_so) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_answer_is_what_the_rival_said() -> None:
    rival = child(python(ECHO, "model", "--threads=1", "--context=9"))
    assert rival((7, 8, 9), PARAMS) == Completion(
        token_ids=(8, 9), finish_reason="length", prefill_seconds=0.5, decode_seconds=0.25
    )
    assert rival((8, 2), PARAMS).finish_reason == "stop"
    rival.close()
    rival.close()


def test_between_answers_it_and_what_it_started_sleep() -> None:
    code = f"import subprocess\nsubprocess.Popen(['sleep', '60'])\n{ECHO}"
    rival = child(python(code, "model", "--threads=1", "--context=9"))
    pid = rival._process._process.pid
    (other,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for _ in range(2):
        wait_until(lambda: state(pid) == state(int(other)) == "T")
        rival((7, 8), PARAMS)
    rival.close()
    wait_until(lambda: has_ended(int(other)))


def test_a_sleeping_rival_ends_with_its_parent() -> None:
    code = (
        "import time\nfrom bench.rivals.child import Child\n"
        f"rival = Child({python(ECHO, 'model', '--threads=1', '--context=9')!r},"
        " threads=1, vocab_size=9)\n"
        "print(rival._process._process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(python(code), cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        wait_until(lambda: state(pid) == "T")
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    wait_until(lambda: has_ended(pid))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/no/such/python"], "does not start: No such file"),
        (python("import no_such_library"), "status 1: .*No module named 'no_such_library'"),
        (says("Loading the model ..."), "it said 'Loading the model ...'"),
        (says('{"ready": false}'), "it said '{\"ready\": false}'"),
        (python("input()"), "said nothing for 0 s"),
    ],
)
def test_one_that_does_not_get_ready_says_why(command: list[str], reason: str) -> None:
    patience = 0.3 if command[-1] == "input()" else 20.0
    with pytest.raises(NotRun, match=reason):
        child(command, patience=patience)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I do not know", "it said 'I do not know'"),
        (ANSWER.replace("[5, 2]", "[]"), "token_ids: "),
        (ANSWER.replace("[5, 2]", "[5, -2]"), "token_ids.1: "),
        (ANSWER.replace("[5, 2]", "[5, 100]"), "up to id 100"),
        (ANSWER.replace("[5, 2]", "[1, 2, 3, 4, 5]"), "answered 5 tokens"),
        (ANSWER.replace("0.25", "-0.25"), "decode_seconds: "),
        (ANSWER.replace("0.25", "NaN"), "decode_seconds: "),
    ],
)
def test_what_is_no_answer_is_no_measurement(answer: str, reason: str) -> None:
    rival = child(says('{"ready": true}', answer))
    with pytest.raises(NotRun, match=reason):
        rival((7, 8), PARAMS)
    rival.close()


def test_one_that_dies_drops_out_and_the_others_go_on() -> None:
    dying = child(says('{"ready": true}', ANSWER, ANSWER))
    asked: list[str] = []

    def ours(prompt, params):
        asked.append("ours")
        return Completion(
            token_ids=prompt, finish_reason="length", prefill_seconds=1, decode_seconds=1
        )

    def theirs(prompt, params):
        asked.append("theirs")
        return dying(prompt, params)

    arms = {"ours": ours, "theirs": theirs}
    turns = in_turns(arms, [(1, 2), (3, 4), (5, 6)], PARAMS, repeats=1)
    # Both warm up; the second prompt begins with the other arm, which dies there.
    assert asked == ["ours", "theirs", "ours", "theirs", "theirs", "ours", "ours"]
    assert list(turns.measured) == ["ours"]
    assert [one.token_ids for one in turns.measured["ours"].first()] == [(1, 2), (3, 4), (5, 6)]
    assert turns.not_run["theirs"].startswith("it ended with status")
    dying.close()


def test_tokens_that_arrive_together_take_the_time_of_one(monkeypatch) -> None:
    clock = iter([10.0, 12.0, 13.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    watch = Stopwatch()
    for number in (3, 2, 2):
        watch.tokens_arrived(number)
    found = watch.answer([1, 2, 3, 4, 5, 6, 7])
    # Four tokens came in the two seconds behind the first three: six take three seconds.
    assert (found.prefill_seconds, found.decode_seconds) == (2.0, 3.0)


def test_a_real_engine_answers_in_its_child_as_here(tmp_path: Path) -> None:
    import torch

    from pipeline.decoding.autoregressive import AutoregressiveEngine
    from pipeline.modeling.loading import load_model
    from pipeline.modeling.tiny import save_tiny_model

    path = save_tiny_model(tmp_path / "model")
    engine = AutoregressiveEngine(load_model(path, dtype=torch.float32, device="cpu"))
    rival = Child(
        python(ENGINE, str(path), "--threads=1", "--context=64"), threads=1, vocab_size=259
    )
    for prompt in ((5, 6, 7), (80, 90)):
        (expected,) = engine.generate([prompt], PARAMS)
        found = rival(prompt, PARAMS)
        assert found.token_ids == expected.token_ids
        assert found.finish_reason == expected.finish_reason
        assert min(found.prefill_seconds, found.decode_seconds) > 0
    rival.close()
