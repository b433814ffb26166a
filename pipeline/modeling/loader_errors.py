"""Whatever a library says about a foreign file becomes an error a person can act upon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError, PipelineError

PANIC_NAME = "PanicException"


@contextmanager
def as_model_error(path: Path, part: str) -> Iterator[None]:
    """What fails inside the block, fails because `path` cannot be read as `part`.

    Args:
        path: The foreign file or directory the library reads.
        part: What it should be, for the message: `"tokenizer"`.

    Raises:
        ModelError: `model.corrupt_file` in place of the library's exception. Running out of memory
            or disk, a request to stop and our own errors pass as they are.
    """
    try:
        yield
    except (PipelineError, MemoryError):
        raise
    except BaseException as exc:
        if not (isinstance(exc, Exception) or is_panic(exc)) or _is_about_the_machine(exc):
            raise
        what = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise ModelError(
            "model.corrupt_file",
            f"{path} cannot be loaded as a {part} ({what:.500}). Copy it again from its source, or "
            "save the model again with save_pretrained.",
        ) from exc


def is_panic(exc: BaseException) -> bool:
    """`exc` is a Rust library's panic, which Python code never raises and `Exception` not catches.

    Each extension has a class of its own, which none of them exports: the name has to do.
    """
    return type(exc).__name__ == PANIC_NAME and type(exc).__module__ == "pyo3_runtime"


def _is_about_the_machine(exc: BaseException) -> bool:
    is_of_system = isinstance(exc, OSError) and exc.errno is not None
    # torch has a class for a GPU's memory only.
    is_of_memory = type(exc).__name__ == "OutOfMemoryError" or "allocate memory" in str(exc)
    return is_of_system or is_of_memory
