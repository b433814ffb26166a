"""How large a registered model is."""

from pathlib import Path

from studio.registry.models import Checkpoint, stored_path


def num_parameters(path: Path) -> int | None:
    """Parameters of the checkpoint at `path`; None where the registry does not know them."""
    known = Checkpoint.objects.filter(path=stored_path(path)).exclude(num_parameters=None)
    found: int | None = known.values_list("num_parameters", flat=True).first()
    return found
