"""Which sequence lies where in the kernel's storage, and how much of it counts."""

from collections.abc import Sequence


class LeanCache:
    """Lengths of the sequences, and in which slot of the storage each of them lies."""

    def __init__(self, batch_size: int, capacity: int) -> None:
        self.lengths = [0] * batch_size
        self.slots = list(range(batch_size))
        self.capacity = capacity

    def roll_back(self, lengths: Sequence[int]) -> None:
        """Each sequence has the given length; longer than now is an error."""
        if any(new > old or new < 0 for new, old in zip(lengths, self.lengths, strict=True)):
            raise ValueError(f"cannot roll back from {self.lengths} to {list(lengths)}")
        self.lengths = list(lengths)

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Row i is the former row `rows[i]`; the others are dropped. Nothing is copied."""
        self.lengths = [self.lengths[row] for row in rows]
        self.slots = [self.slots[row] for row in rows]
