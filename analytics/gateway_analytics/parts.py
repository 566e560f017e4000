"""The Parquet files of a day: parts that are numbered in the order of their making.

`part-000007.parquet` is what one batch of compaction added. `part-000003-000007.parquet` holds all that parts
3 to 7 held, and takes their place from the moment it is there: readers leave out parts whose numbers lie in
those of another. So small files become one in a single step: no record ever counts twice.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = re.compile(r"part-(\d{6,})(?:-(\d{6,}))?\.parquet")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """The numbers that a part covers."""

    first: int
    last: int

    @classmethod
    def of(cls, name: str) -> "Part | None":
        """The part that a file name stands for; None for a name of another form."""
        match = _NAME.fullmatch(name)
        return cls(int(match[1]), int(match[2] or match[1])) if match else None

    @property
    def name(self) -> str:
        """The file's name."""
        return (
            f"part-{self.first:06}.parquet"
            if self.first == self.last
            else f"part-{self.first:06}-{self.last:06}.parquet"
        )

    def covers(self, other: "Part") -> bool:
        """Whether all of another part's records are in this one, too."""
        return self != other and self.first <= other.first and other.last <= self.last


def replaced(names: Iterable[str]) -> set[str]:
    """The names of parts whose place another part has taken."""
    parts = sorted(
        (part for name in names if (part := Part.of(name))), key=lambda part: (part.first, -part.last)
    )
    gone: set[str] = set()
    widest: Part | None = None
    for part in parts:
        if widest is not None and widest.covers(part):
            gone.add(part.name)
        elif widest is None or part.last > widest.last:
            widest = part
    return gone
