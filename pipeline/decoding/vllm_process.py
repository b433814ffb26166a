"""The processes vLLM starts: the environment they get, and that they end when they must.

vLLM decodes in child processes. Left to itself it waits for ever for a child that was killed (by
the kernel for its memory, say), and its children outlive a parent that was killed, holding the
GPU's memory.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from pipeline.errors import DecodingError

if TYPE_CHECKING:
    from vllm import LLM

# GiB. By default vLLM takes most of the machine's memory; beside other work that ends in a kill.
CPU_KV_CACHE_GIB = 2
DEATH_POLL_SECONDS = 0.5
# Standard input ends when the parent has closed it or is gone, however it went.
REAPER = """
import os, sys
sys.stdin.buffer.read()
for pid in sys.argv[2:]:
    try:
        os.kill(int(pid), int(sys.argv[1]))
    except ProcessLookupError:
        pass
"""


@contextmanager
def vllm_environment(*, is_speculative: bool) -> Iterator[None]:
    """vLLM is imported and starts its processes with our settings; afterwards ours are as before.

    What the environment sets already wins, except that no hub is ever asked. On its way vLLM sets
    variables of its own, which are undone too.

    Raises:
        DecodingError: `decode.engine_unavailable` when vLLM cannot be imported.
    """
    before = dict(os.environ)
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"})
    set_defaults(_common_settings(is_speculative))
    try:
        try:
            import vllm  # noqa: F401 (its logging reads the environment at import)
        except ImportError as error:
            raise DecodingError(
                "decode.engine_unavailable",
                f"vLLM cannot be imported here ({error}). On a machine with an NVIDIA GPU install "
                "requirements/gpu.txt; elsewhere choose the engine 'torch'.",
            ) from error
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def set_defaults(settings: Mapping[str, str]) -> None:
    """The environment has each of `settings`, or what it had."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _common_settings(is_speculative: bool) -> dict[str, str]:
    settings = {
        "VLLM_NO_USAGE_STATS": "1",
        # Its processes talk over sockets: on this machine only, never on the network's address.
        "VLLM_HOST_IP": "127.0.0.1",
        # Standard output belongs to the program that opened the engine.
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        # A fork of a process that runs torch's threads may hang.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    }
    if is_speculative:
        # Runner V2 (the default on GPUs up to at least 0.32) runs draft models without CUDA
        # graphs, which makes a draft's step slower than many a target's. V1 is also what the
        # tests on CPUs run.
        settings["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    return settings


def cpu_settings(*, enforce_eager: bool) -> dict[str, str]:
    """What vLLM's CPU back end needs besides."""
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": str(CPU_KV_CACHE_GIB),
        # By default one core is kept free and each thread bound to a core, which two engines on
        # a small machine would share. As many threads as our own engines use, free to move:
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    if enforce_eager:
        # Its sampler is compiled even so, and the first request would wait 15 s for a compiler.
        settings["TORCHDYNAMO_DISABLE"] = "1"
    return settings


class EngineProcesses:
    """The children of one `LLM`; `close` ends them, and so does the end of this process."""

    def __init__(self, llm: "LLM") -> None:
        import psutil  # a requirement of vLLM's, not of ours

        self._client = llm.llm_engine.engine_core
        cores = [
            psutil.Process(process.pid)
            for process in self._client.resources.engine_manager.processes
        ]
        descendants = [child for core in cores for child in core.children(recursive=True)]
        pids = [str(process.pid) for process in (*cores, *descendants)]
        # Not in our process group: a signal to the group must not end it before us.
        self._reaper = subprocess.Popen(  # noqa: S603 (this interpreter, on process ids)
            [sys.executable, "-S", "-c", REAPER, str(int(signal.SIGKILL)), *pids],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A call of vLLM's inside the block raises `EngineDeadError` when a child dies."""
        from vllm.v1.engine.exceptions import EngineDeadError

        is_done = threading.Event()

        def watch() -> None:
            while not is_done.wait(DEATH_POLL_SECONDS):
                if self._client.resources.engine_dead:
                    # What `get_output` waits for; vLLM sets the flag and leaves it waiting.
                    self._client.outputs_queue.put_nowait(EngineDeadError())
                    return

        thread = threading.Thread(target=watch, name="vllm-death-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_done.set()
            thread.join()

    def close(self) -> None:
        """The children have ended and their memory is returned."""
        self._reaper.kill()
        self._reaper.communicate()
        self._client.shutdown()
