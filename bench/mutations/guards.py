"""Every condition that keeps the life of a run right.

`tests/architecture/test_bench.py` notices a guard whose code has changed: write it anew here, and
run `python -m bench guards`.
"""

from bench.mutations.guard import Guard
from bench.mutations.lifecycle_guards import LIFECYCLE_GUARDS
from bench.mutations.run_guards import RUN_GUARDS

GUARDS: tuple[Guard, ...] = (*LIFECYCLE_GUARDS, *RUN_GUARDS)
