"""What each key used in the last minute, counted by all workers of a gateway together."""

import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

# One bucket per second of monotonic time. One more than a minute has, so that no minute, wherever it begins,
# sees more than the limit.
_BUCKETS = 61
# A slot, in 8-byte words: id, last second of each count, and its buckets.
_ID_WORDS = 2
_COUNT_WORDS = 1 + _BUCKETS
_REQUESTS = _ID_WORDS
_TOKENS = _ID_WORDS + _COUNT_WORDS
_SLOT_WORDS = 128
_SLOTS = 16_384  # more than a file of keys may have; memory is taken when a slot is first used


class Limits:
    """Counts in memory that this process shares with every process forked from it.

    A record lock orders the processes: unlike a semaphore it ends with the process that holds it, so a worker
    that is killed blocks nobody.
    """

    def __init__(self, slots: int = _SLOTS) -> None:
        self._slots = slots
        self._file = os.memfd_create("llm-gateway-limits", os.MFD_CLOEXEC)
        os.ftruncate(self._file, slots * _SLOT_WORDS * 8)
        self._words = memoryview(mmap.mmap(self._file, slots * _SLOT_WORDS * 8)).cast("q")
        self._known: dict[str, tuple[int, int, int]] = {}  # where a key's slot was last, and its id's words

    def take(self, key_id: str, requests: int | None, tokens: int | None) -> "Excess | None":
        """Count a request of this key and return None; or return what keeps it out, and count nothing."""
        now = int(time.monotonic())
        with self._locked():
            slot = self._slot(key_id, now)
            for start, limit, what in ((_REQUESTS, requests, "requests"), (_TOKENS, tokens, "tokens")):
                if limit is None:
                    continue
                used = self._advance(slot + start, now)
                if used >= limit:
                    return Excess(what, limit, used, self._wait(slot + start, now, used - limit + 1))
            self._advance(slot + _REQUESTS, now)
            self._words[slot + _REQUESTS + 1 + now % _BUCKETS] += 1
        return None

    def add_tokens(self, key_id: str, tokens: int) -> None:
        """Count the tokens of a call that is over."""
        now = int(time.monotonic())
        with self._locked():
            slot = self._slot(key_id, now)
            self._advance(slot + _TOKENS, now)
            self._words[slot + _TOKENS + 1 + now % _BUCKETS] += tokens

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _slot(self, key_id: str, now: int) -> int:
        """Return the first word of the key's slot, which is a new one where it has none."""
        words = self._words
        slot, first, second = self._known.get(key_id) or (-1, *_id_words(key_id))
        if slot >= 0 and words[slot] == first and words[slot + 1] == second:
            return slot
        free = -1
        for step in range(self._slots):
            slot = (first + step) % self._slots * _SLOT_WORDS
            found = words[slot], words[slot + 1]
            if found == (first, second):
                break
            if free < 0 and (found == (0, 0) or self._is_idle(slot, now)):
                free = slot
            if found == (0, 0):
                slot = free
                break
        else:
            # All in use within a minute: whoever is first in line shares its slot with nobody for long.
            slot = free if free >= 0 else first % self._slots * _SLOT_WORDS
        if (words[slot], words[slot + 1]) != (first, second):
            for word in range(slot, slot + _SLOT_WORDS):
                words[word] = 0
            words[slot], words[slot + 1] = first, second
        self._known[key_id] = slot, first, second
        return slot

    def _is_idle(self, slot: int, now: int) -> bool:
        return all(self._words[slot + start] + _BUCKETS <= now for start in (_REQUESTS, _TOKENS))

    def _advance(self, count: int, now: int) -> int:
        """Forget what is older than a minute, and return what is left."""
        words = self._words
        first = count + 1
        for second in range(max(words[count] + 1, now - _BUCKETS + 1), now + 1):
            words[first + second % _BUCKETS] = 0
        words[count] = now
        return sum(words[first : first + _BUCKETS])

    def _wait(self, count: int, now: int, excess: int) -> int:
        """Return the seconds after which this much has been forgotten."""
        for second in range(now - _BUCKETS + 1, now + 1):
            excess -= self._words[count + 1 + second % _BUCKETS]
            if excess <= 0:
                return second + _BUCKETS - now
        return _BUCKETS


class Excess:
    """A limit that is used up."""

    __slots__ = ("limit", "seconds", "used", "what")

    def __init__(self, what: str, limit: int, used: int, seconds: int) -> None:
        self.what = what  # requests or tokens
        self.limit = limit
        self.used = used
        self.seconds = seconds  # until there is room again


def _id_words(key_id: str) -> tuple[int, int]:
    digest = blake2b(key_id.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big", signed=False) >> 1 or 1, int.from_bytes(digest[8:], "big") >> 1
