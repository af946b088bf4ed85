"""B7: the numbered events of a 2.x transaction: which have come, whether one is new, and how many are missing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self


@dataclass(slots=True)
class Seen:
    """The events of a transaction that have come."""

    first: int
    last: int
    count: int
    """How many numbers; less than there are events where a station always sends 0."""
    newest_at: datetime

    @classmethod
    def only(cls, seq_no: int, at: datetime) -> Self:
        return cls(seq_no, seq_no, 1, at)

    @property
    def missing(self) -> int:
        """How many numbers between the first and the last have not come."""
        return max(0, self.last - self.first + 1 - self.count)

    def is_surely_new(self, seq_no: int, at: datetime) -> bool:
        """Whether nothing that has come can be the same event; otherwise what is stored must be asked."""
        return seq_no > self.last or (seq_no == self.last and at > self.newest_at)

    def with_event(self, seq_no: int, at: datetime, *, is_number_known: bool) -> "Seen":
        return Seen(
            min(self.first, seq_no),
            max(self.last, seq_no),
            self.count + (0 if is_number_known else 1),
            max(self.newest_at, at),
        )
