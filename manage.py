#!/usr/bin/env python
"""Run a management command of SOAE Studio."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    # At the front: an installed distribution must never win over `pipeline`, `workers` or `studio`.
    for source_root in (ROOT / "platform", ROOT):
        sys.path.insert(0, str(source_root))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
