"""What the emulated model says: sensible, and always the same for the same conversation.

It knows a few facts, remembers what the caller said earlier in the conversation, adds up small sums and
repeats on request. To anything else it answers with a sentence about what it was asked.
"""

import re
from collections.abc import Sequence

from gateway_eval.emulator import sums

_KNOWLEDGE = {
    ("ai", "artificial intelligence"): (
        "Artificial intelligence (AI) is the field of computer science that builds systems able to perform "
        "tasks that normally need human intelligence, such as understanding language, recognising images, "
        "learning from data and making decisions."
    ),
    ("ml", "machine learning"): (
        "Machine learning is the part of artificial intelligence in which a program learns patterns from "
        "data instead of being given every rule by hand."
    ),
    ("an llm", "llm", "a large language model", "large language model", "large language models"): (
        "A large language model is a neural network trained on a great deal of text. It predicts the next "
        "token, and so can answer questions, summarise and write code."
    ),
    ("an llm gateway", "an ai gateway", "ai gateway", "llm gateway", "mlflow ai gateway"): (
        "An AI gateway is a service between callers and model providers. It holds the provider keys, routes "
        "each call to a model, and records what was used."
    ),
    ("mlflow",): (
        "MLflow is an open source platform for machine learning and language models: experiment tracking, a "
        "model registry, evaluation, and a gateway to model providers."
    ),
    ("python",): "Python is a general purpose programming language known for its readable syntax.",
    (
        "docker",
    ): "Docker packages a program with everything it needs into an image and runs it as a container.",
    (
        "ansible",
    ): "Ansible is a tool that describes the wanted state of machines in YAML and brings it about over SSH.",
    ("nginx",): "nginx is a web server that is also used as a reverse proxy and load balancer.",
    ("duckdb",): "DuckDB is an analytical SQL database that runs inside the program that uses it.",
    ("the capital of france", "capital of france"): "The capital of France is Paris.",
    ("the capital of germany", "capital of germany"): "The capital of Germany is Berlin.",
    ("the capital of japan", "capital of japan"): "The capital of Japan is Tokyo.",
    ("the capital of italy", "capital of italy"): "The capital of Italy is Rome.",
    ("the meaning of life",): "Opinions differ, but 42 is a popular answer.",
}
_FACTS = {name: text for names, text in _KNOWLEDGE.items() for name in names}

_WHAT_IS = re.compile(r"\b(?:what(?:'s| is| are)|define|explain|tell me about)\s+(.+?)\s*[?.!]*$", re.I)
# A second name only with a capital, so that "my name is Ann and ..." is Ann.
_NAME = re.compile(
    r"\b(?i:my name is|my name's|call me|i am called)\s+([^\W\d_][\w'-]{0,40}(?: [A-ZÀ-Þ][\w'-]{0,40})?)"
)
_TOLD = re.compile(r"\b(my|our|the) ([a-z][a-z ]{1,40}?) (?:is|was|are) ([^.!?,\n]{1,80})", re.I)
_TOLD_NAME = re.compile(r"\b(a|an|my|our) ([a-z]{2,40}) (?:called|named) (\w[\w'-]{0,40})", re.I)
_ASK_TOLD = re.compile(
    r"\b(?:what(?:'s| is| was| are)|who(?:'s| is)|do you (?:know|remember)|tell me)"
    r"\s+(my|our|the) ([a-z ]{2,60}?)(?:'s name| called| named)?\s*[?.!]*$",
    re.I,
)
_WHO_AM_I = re.compile(r"\b(?:who am i|what am i called|remember my name|know my name)\b", re.I)
_REMEMBER = re.compile(
    r"\bremember (?:this|that|the (?:number|word|code))?[: ]*(\S.{0,120}?)[ .!]*$", re.I | re.M
)
_ASK_REMEMBER = re.compile(
    r"\bwhat (?:did i ask you to remember|should you remember|number|word|code)\b", re.I
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_FIRST = re.compile(r"\b(?:my|the) (first|previous|last) (?:question|message)\b", re.I)
_SAY = re.compile(
    r"^\s*(?:please )?(?:say|repeat(?: after me)?|echo|(?:reply|respond|answer)(?: only)? with)"
    r"(?: (?:only|exactly|just|the words?))*\s*:?\s+(.+?)\s*$",
    re.I | re.S,
)
_COUNT = re.compile(r"\bcount (?:from (\d{1,4}) )?(?:up )?to (\d{1,4})\b", re.I)
_SUM = re.compile(r"\d\s*(?:[-+*/x]|plus|minus|times|divided)", re.I)
_GREETING = re.compile(r"^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening))\b", re.I)

# Characters.
_LONGEST_QUESTION = 500
_LONGEST_QUOTE = 300

FILLER = (
    " The emulator answers from memory, so that tests need no network and cost no money. Each sentence here "
    "is as long as it has to be, and each call with the same words gets the same reply. What matters is "
    "that every token is counted once, on both sides, and that the numbers agree."
)


def reply(said: Sequence[str]) -> str:
    """Return the answer to the last of the caller's messages, `said` being all of them, oldest first."""
    if not said or not said[-1].strip():
        return "How can I help you?"
    if (asked := _SAY.match(said[-1])) is not None:
        return _unquoted(asked[1])
    whole, earlier = said[-1].strip(), said[:-1]
    # A long message ends with its question, as when a document comes before it.
    question = whole[-_LONGEST_QUESTION:]
    for answer in (_recall, _calculate, _count, _know, _acknowledge):
        text = answer(question, earlier)
        if text is not None:
            return text
    return _about(whole)


def _unquoted(text: str) -> str:
    bare = text.rstrip(".")
    return bare[1:-1] if len(bare) > 2 and bare[0] in "\"'" and bare[-1] == bare[0] else text


def _has(text: str, *words: str) -> bool:
    """Tell whether a text has one of some words: a fraction of the time of the expressions that need them."""
    for word in words:  # noqa: SIM110 (any() takes three times as long)
        if word in text:
            return True
    return False


def _recall(question: str, earlier: Sequence[str]) -> str | None:
    lower = question.lower()
    if not _has(lower, "what", "who", "do you", "tell me", "my name", "first", "previous", "last"):
        return None
    if earlier and (which := _FIRST.search(question)):
        position = which[1].lower()
        return f'Your {position} message was: "{earlier[0] if position == "first" else earlier[-1]}"'
    asked = _ASK_TOLD.search(question)
    subject = asked[2].strip().lower() if asked else ""
    who, what = _WHO_AM_I.search(question), _ASK_REMEMBER.search(question)
    if not (asked or who or what):
        return None
    memory = [*earlier, *_SENTENCE_END.split(question)[:-1]]
    if who or subject == "name":
        name = _latest(_NAME, memory)
        return f"Your name is {name[1]}." if name else "You have not told me your name."
    if what and (told := _latest(_REMEMBER, memory)):
        return f"You asked me to remember {told[1]}."
    if asked is None:
        return None
    owner = "Your" if asked[1].lower() == "my" else asked[1].capitalize()
    for text in reversed(memory):
        for told in [*_TOLD_NAME.finditer(text), *_TOLD.finditer(text)]:
            if told[2].lower() == subject:
                return f"{owner} {subject} is {told[3].strip()}."
    # What is not "mine" may still be general knowledge.
    return f"You have not told me your {subject}." if owner == "Your" else None


def _latest(pattern: re.Pattern[str], memory: Sequence[str]) -> re.Match[str] | None:
    for text in reversed(memory):
        found = list(pattern.finditer(text))
        if found:
            return found[-1]
    return None


def _calculate(question: str, _earlier: Sequence[str]) -> str | None:
    return sums.solve(question) if _SUM.search(question) else None


def _count(question: str, _earlier: Sequence[str]) -> str | None:
    match = _COUNT.search(question) if _has(question.lower(), "count to", "count up", "count from") else None
    if match is None:
        return None
    first, last = int(match[1] or 1), int(match[2])
    return ", ".join(str(number) for number in range(first, last + 1)) or "There is nothing to count."


def _know(question: str, _earlier: Sequence[str]) -> str | None:
    asks = _has(question.lower(), "what", "define", "explain", "tell me")
    match = _WHAT_IS.search(question) if asks else None
    if match is None:
        return None
    subject = re.sub(
        r"\s+(?:in one sentence|in a few words|briefly)$", "", match[1].strip().strip("\"'").lower()
    )
    return _FACTS.get(subject) or _FACTS.get(re.sub(r"^(?:an?|the)\s+", "", subject))


def _acknowledge(question: str, _earlier: Sequence[str]) -> str | None:
    lower = question.lower()
    if "?" in question:
        return None
    if _has(lower, "name", "call") and (name := _NAME.search(question)):
        return f"Nice to meet you, {name[1]}. How can I help you?"
    if _has(lower, " is ", " was ", " are ") and (told := _TOLD.search(question)):
        owner = "your" if told[1].lower() == "my" else told[1].lower()
        return f"I will keep in mind that {owner} {told[2].lower()} is {told[3].strip()}."
    if "remember" in lower and (told := _REMEMBER.search(question)):
        return f"I will remember {told[1]}."
    if _GREETING.match(question):
        return "Hello! How can I help you today?"
    return None


def _about(question: str) -> str:
    words = question.split(maxsplit=41)
    quoted = " ".join(words[:40])
    if len(words) > 40 or len(quoted) > _LONGEST_QUOTE:
        quoted = quoted[:_LONGEST_QUOTE] + " ..."
    kind = "asked" if "?" in question else "said"
    return (
        f'You {kind}: "{quoted}" This reply comes from the provider emulator, so it is made up from your own '
        "words "
        "and is the same every time you send them."
    )
