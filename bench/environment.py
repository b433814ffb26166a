"""Where the figures were measured."""

import datetime
import os
import platform
import sys

from pipeline.code_version import code_version
from pipeline.provenance import package_versions, processor

PACKAGES = ("django", "celery", "psycopg", "torch", "transformers", "numpy")


def describe_environment() -> dict[str, object]:
    """Date, code, processor, memory and packages, for the last line of a benchmark."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "code_version": code_version(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": processor(),
        "num_cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "packages": package_versions(PACKAGES),
    }
