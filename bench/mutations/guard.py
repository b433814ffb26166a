"""A piece of code that keeps the life of a run right, and what the code looks like without it."""

from dataclasses import dataclass

RUNS = "platform/studio/runs"
LIFECYCLE = f"{RUNS}/lifecycle"


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """A piece of code whose absence must be noticed."""

    name: str
    path: str
    code: str
    """Found exactly once in the module."""
    without: str = ""
    """What stands there instead."""
    is_race: bool = False
    """It matters to callers at the same moment only."""

    def removed_from(self, module: str) -> str:
        """The module's text without the guard.

        Raises:
            ValueError: the code is not there, or more than once.
        """
        if module.count(self.code) != 1:
            raise ValueError(f"{self.name}: {self.code!r} stands {module.count(self.code)} times")
        return module.replace(self.code, self.without)
