"""`python -m pipeline.decoding.lean`: the kernel is built, or why it is not is said."""

import subprocess
import sys

from pipeline.decoding.lean import build


def main() -> None:
    """Ends well without a kernel too: decoding works without one, and says so."""
    try:
        path = build.build()
    except (OSError, subprocess.SubprocessError) as exc:
        reason = getattr(exc, "stderr", None) or exc
        print(
            f"The decoding kernel was not built: {reason}\n"
            "Decoding on this machine's CPU will be slower. Install g++ and run "
            "`make setup` again.",
            file=sys.stderr,
        )
        return
    if build.load() is None:
        print(f"The decoding kernel {path} is built and cannot be loaded.", file=sys.stderr)


if __name__ == "__main__":
    main()
