"""How the program was started: what a launcher says through the environment."""

from collections.abc import Mapping

from pipeline.errors import LaunchError


def require_one_process(environment: Mapping[str, str]) -> None:
    """This process is the whole run.

    Launchers such as torchrun start several and tell each the number in WORLD_SIZE. They would all
    train on the same rows and write to the same run directory.

    Raises:
        LaunchError: `launch.world_size_unsupported` for any other WORLD_SIZE than 1 or none.
    """
    world_size = environment.get("WORLD_SIZE", "")
    if world_size not in {"", "1"}:
        raise LaunchError(
            "launch.world_size_unsupported",
            f"WORLD_SIZE is {world_size}: a run is one process for now, so several would each do "
            "all of it in the same directory; start it without a launcher, or with one process "
            "(torchrun --nproc-per-node 1)",
        )
