"""What the calls of a load ask: one question, texts of given sizes, or prompts from a file."""

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

QUESTION = "What is AI?"

# Each is one token, its blank included, in the vocabularies of OpenAI's models since GPT-4 and by the rule of
# this project's emulator; other models need about as many.
_WORDS = (
    " time", " year", " people", " way", " day", " thing", " life", " child", " world", " school", " state",
    " family", " student", " group", " country", " problem", " hand", " part", " place", " case", " week",
    " company", " system", " program", " question", " work", " number", " night", " point", " home", " water",
)  # fmt: skip
# A number of nine digits is three tokens, and makes each text another from its beginning on.
_NUMBER_TOKENS = 3
SMALLEST = _NUMBER_TOKENS + 1
LARGEST = 1_000_000

Parameters = dict[str, Any]


def question(parameters: Parameters) -> Iterator[bytes]:
    """Yield calls that all ask the same."""
    return itertools.repeat(_encode([{"role": "user", "content": QUESTION}], parameters))


def sized(text: str, parameters: Parameters) -> Iterator[bytes]:
    """Yield calls with texts of so many tokens, no two of them alike, so that no cache answers them.

    `text`: a size, several in turn (`100,1000`), or a range of which sizes are drawn evenly (`100-2000`; the
    same ones every time). Raises ValueError with the remedy.
    """
    next_size, largest = _sizes(text)
    chance = random.Random(0)  # noqa: S311 (no secret hangs on it)
    pieces = [word.encode() for word in chance.choices(_WORDS, k=largest)]
    ends = [0, *itertools.accumulate(map(len, pieces))]
    words = b"".join(pieces)
    mark = "\x00"  # no word has it, and JSON escapes it
    head, _, tail = _encode([{"role": "user", "content": mark}], parameters).partition(b"\\u0000")
    # Another run within the lifetime of a provider's cache begins with another number.
    first = time.time_ns() // 1_000_000 % 10**9
    return (
        b"%b%09d%b%b" % (head, (first + number) % 10**9, words[: ends[next_size() - _NUMBER_TOKENS]], tail)
        for number in itertools.count()
    )


def from_file(path: Path, parameters: Parameters) -> Iterator[bytes]:
    """Yield calls with the prompts of a file, in turn, again and again.

    A `.jsonl` file has an object with `messages` or `prompt` in each line, any other file a prompt in each.
    Raises ValueError, with the line, for what is neither.
    """
    read = _json_line if path.suffix == ".jsonl" else _text_line
    conversations = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    conversations.append(_checked(read, line, f"{path}:{number}"))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if not conversations:
        raise ValueError(f"{path} has no prompt in it; write one in each line")
    return itertools.cycle([_encode(messages, parameters) for messages in conversations])


def _encode(messages: Any, parameters: Parameters) -> bytes:
    return json.dumps({"messages": messages, **parameters}).encode()


def _checked(read: Callable[[str], Any], line: str, place: str) -> Any:
    try:
        return read(line)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _text_line(line: str) -> Any:
    return [{"role": "user", "content": line.strip()}]


def _json_line(line: str) -> Any:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON") from None
    match value:
        case {"messages": [dict(), *_] as messages, **rest} if not rest:
            return messages
        case {"prompt": str(prompt), **rest} if prompt and not rest:
            return [{"role": "user", "content": prompt}]
    raise ValueError('write {"prompt": "..."} or {"messages": [{"role": "user", "content": "..."}]}')


def _sizes(text: str) -> tuple[Callable[[], int], int]:
    """Return what draws the next size, and the largest there may be."""
    chance = random.Random(1)  # noqa: S311 (no secret hangs on it)
    low, dash, high = text.partition("-")
    if dash:
        lowest, highest = _size(low), _size(high)
        if lowest > highest:
            raise ValueError(f"{text!r}: write the smaller size first, as in 100-2000")
        return lambda: chance.randint(lowest, highest), highest
    sizes = [_size(part) for part in text.split(",")]
    return itertools.cycle(sizes).__next__, max(sizes)


def _size(text: str) -> int:
    if not text.strip().isdecimal() or not SMALLEST <= int(text) <= LARGEST:
        raise ValueError(
            f"{text!r} is no number of tokens from {SMALLEST} to {LARGEST}; "
            "write 500, or 100,1000, or 100-2000"
        )
    return int(text)
