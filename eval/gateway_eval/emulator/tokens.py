"""Counting tokens by one written-down rule, the same for streams and whole answers.

Real tokenizers need vocabulary files from the network. Without one the emulator has a rule of its own: a
token is a run of up to eight Latin letters, a run of up to three digits, or any other single visible
character, each together with one blank before it; a longer run of white space is one token. English text
comes to about four characters a token, as with the real ones.
"""

import json
import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(r" ?(?:[A-Za-zÀ-ɏ]{1,8}|\d{1,3}|\S)|\s+")

# Rule for chat: 3 tokens a message, its role, its name, and 3 that open the reply.
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
_PER_MESSAGE = 3
_PER_REPLY = 3
# A picture in low detail. https://platform.openai.com/docs/guides/images-vision#calculating-costs
_PER_IMAGE = 85


_split: Callable[[str], list[str]] = _TOKEN.findall


def use(splitter: Callable[[str], list[str]]) -> None:
    """Count by a real vocabulary from now on, in the whole process."""
    global _split
    _split = splitter


def split(text: str) -> list[str]:
    """Return the tokens of `text`; joined they are `text` again."""
    return _split(text)


def count(text: str) -> int:
    """Return the number of tokens in `text`."""
    return len(_split(text))


def text_of(content: Any) -> str:
    """Return the text of a message's `content`: a string, a list of parts, or null."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def count_message(message: dict[str, Any]) -> int:
    """Return the tokens of one chat message, its frame included."""
    content = message.get("content")
    total = _PER_MESSAGE + count(str(message.get("role", ""))) + count(text_of(content))
    if isinstance(content, list):
        total += _PER_IMAGE * sum(
            1 for part in content if isinstance(part, dict) and part.get("type") in ("image_url", "image")
        )
    if isinstance(message.get("name"), str):
        total += 1 + count(message["name"])
    return total


def count_chat(messages: list[dict[str, Any]]) -> int:
    """Return the tokens of a conversation as the provider would bill them."""
    return _PER_REPLY + sum(count_message(message) for message in messages)


def count_tools(tools: Any) -> int:
    """Return the tokens of the tools that a request offers: those of their JSON."""
    return count(json.dumps(tools)) if tools else 0


def of_prompts(prompt: Any) -> list[tuple[str, int]] | None:
    """Return each text of a `prompt` or `input` with its tokens; None where it is of no known form.

    It may be a text, a list of texts, a list of token numbers, or a list of such lists, as the completions
    and embeddings of OpenAI take it. Token numbers stay numbers in the text.
    """
    if isinstance(prompt, str):
        return [(prompt, count(prompt))]
    if not isinstance(prompt, list) or not prompt:
        return None
    if all(isinstance(item, int) for item in prompt):
        prompt = [prompt]
    found = []
    for item in prompt:
        if isinstance(item, str):
            found.append((item, count(item)))
        elif isinstance(item, list) and item and all(isinstance(number, int) for number in item):
            found.append((" ".join(map(str, item)), len(item)))
        else:
            return None
    return found
