"""The process that reads broken headers: `python -m bench.header_fuzz.child SEED FIRST LAST LOADS`.

Each case may take two seconds of the processor and a gigabyte more than there was before the first;
beyond that the kernel ends the process, or memory is refused to it. Before a case its number is
written, after it the outcome: whoever started it knows which case ended it.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

MAX_SECONDS = 2.0
MAX_BYTES = 2**30


def main(seed: int, first: int, last: int, *, loads: bool) -> None:
    """The cases from `first` to before `last`, a line of JSON each."""
    from bench.header_fuzz.subject import Subject

    output = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryDirectory() as scratch:
        subject = Subject(Path(scratch), loads=loads)
        subject.warm_up()
        # Libraries talk about what they read; a panic does so for pages.
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MAX_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in range(first, last):
            output.write(json.dumps({"number": number}) + "\n")
            signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)  # no handler: SIGPROF ends us
            began = time.process_time()
            outcome = subject.judge(seed, number)
            seconds = time.process_time() - began
            signal.setitimer(signal.ITIMER_PROF, 0)
            document = {"kind": outcome.kind, "word": outcome.word, "detail": outcome.detail}
            output.write(json.dumps({**document, "number": number, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), loads=sys.argv[4] == "loads")
