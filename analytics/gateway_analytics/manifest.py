"""What compaction has read of each incoming file: the record of what is done, replaced as a whole."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from gateway_analytics.problems import UsageProblem

NAME = "compaction.json"
SCHEMA_VERSION = 1
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file was read, and what stood before that place: a new file of the old name is told by it."""

    consumed: int
    tail: str


@dataclass
class Manifest:
    """Progress by path below incoming/, and the bytes of each quarantine file that are valid."""

    files: dict[str, Progress] = field(default_factory=dict)
    quarantine: dict[str, int] = field(default_factory=dict)
    # By kind: the UTC date before which days were deleted for their age.
    deleted_before: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Path) -> "Manifest":
        """Read the store's manifest; an empty one where there is none. Raises UsageProblem."""
        path = store / NAME
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["schema_version"] != SCHEMA_VERSION:
                raise UsageProblem(
                    f"{path} is of schema_version {document['schema_version']}, not {SCHEMA_VERSION}."
                    " Use the gateway-analytics of that version."
                )
            files = {
                name: Progress(int(one["consumed"]), str(one["tail"]))
                for name, one in document["files"].items()
            }
            quarantine = {name: int(size) for name, size in document["quarantine"].items()}
            return cls(files, quarantine, dict(document.get("deleted_before", {})))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise UsageProblem(f"{path} cannot be read: {error.strerror}. Run as a user who may.") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageProblem(
                f"{path} is damaged. Remove it: compaction then reads incoming anew, and doubles nothing."
            ) from None

    def save(self, store: Path) -> None:
        """Replace the store's manifest, on disk when this returns. Raises OSError."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "files": {
                name: {"consumed": one.consumed, "tail": one.tail} for name, one in sorted(self.files.items())
            },
            "quarantine": dict(sorted(self.quarantine.items())),
            "deleted_before": self.deleted_before,
        }
        temporary = store / f".{NAME}.tmp"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(store / NAME)
        sync_directory(store)

    def consumed(self, store: Path, name: str) -> int:
        """How many bytes of an incoming file, such as requests/a.jsonl, are done with. Raises OSError."""
        progress = self.files.get(name)
        if progress is None or tail(store / "incoming" / name, progress.consumed) != progress.tail:
            return 0
        return progress.consumed


def tail(path: Path, end: int) -> str:
    """A digest of the bytes before a place in a file; empty where the file does not reach so far."""
    with path.open("rb") as file:
        start = max(0, end - _TAIL_BYTES)
        file.seek(start)
        data = file.read(end - start)
    return hashlib.sha256(data).hexdigest()[:32] if len(data) == end - start else ""


def sync_directory(directory: Path) -> None:
    """Bring a directory's entries to disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
