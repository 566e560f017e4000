"""What the emulated model says: sensible, and always the same for the same conversation.

It knows a few facts, remembers what the caller said earlier in the conversation, adds up small sums and
repeats on request. To anything else it answers with a sentence about what it was asked.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence

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
_NAME = re.compile(
    r"\b(?:my name is|call me|i am called|my name's)\s+([^\W\d_][\w'-]*(?: [A-ZÀ-Þ][\w'-]*)?)", re.I
)
_MINE = re.compile(r"\bmy ([a-z][a-z ]{1,40}?) (?:is|was|are) ([^.!?,\n]{1,80})", re.I)
_ASK_MINE = re.compile(
    r"\b(?:what(?:'s| is| was| are)|do you (?:know|remember)|tell me)\s+my ([a-z ]{2,40}?)\s*[?.!]*$", re.I
)
_WHO_AM_I = re.compile(r"\b(?:who am i|what am i called|remember my name|know my name)\b", re.I)
_REMEMBER = re.compile(
    r"\bremember (?:this|that|the (?:number|word|code))?[: ]*\s*(.{1,120}?)\s*[.!]*$", re.I | re.M
)
_ASK_REMEMBER = re.compile(
    r"\bwhat (?:did i ask you to remember|should you remember|number|word|code)\b", re.I
)
_FIRST = re.compile(r"\b(?:my|the) (first|previous|last) (?:question|message)\b", re.I)
_SAY = re.compile(
    r"^\s*(?:please )?(?:say|repeat(?: after me)?|echo|(?:reply|respond|answer)(?: only)? with)"
    r"(?: (?:only|exactly|just|the words?))*\s*:?\s+(.+?)\s*$",
    re.I | re.S,
)
_COUNT = re.compile(r"\bcount (?:from (\d{1,4}) )?(?:up )?to (\d{1,4})\b", re.I)
_SUM = re.compile(r"-?\d[\d.]*(?:\s*(?:\+|-|\*|/|x|×|÷|plus|minus|times|divided by)\s*-?\d[\d.]*)+", re.I)  # noqa: RUF001
_WORDS = {"plus": "+", "minus": "-", "times": "*", "divided by": "/", "x": "*", "×": "*", "÷": "/"}  # noqa: RUF001
_GREETING = re.compile(r"^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening))\b", re.I)

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

FILLER = (
    " The emulator answers from memory, so that tests need no network and cost no money. Each sentence here "
    "is as long as it has to be, and each call with the same words gets the same reply. What matters is "
    "that every token is counted once, on both sides, and that the numbers agree."
)


def reply(said: Sequence[str]) -> str:
    """Return the answer to the last of the caller's messages, `said` being all of them, oldest first."""
    if not said or not said[-1].strip():
        return "How can I help you?"
    question, earlier = said[-1].strip(), said[:-1]
    for answer in (_repeat, _recall, _calculate, _count, _know, _acknowledge):
        text = answer(question, earlier)
        if text is not None:
            return text
    return _about(question)


def _repeat(question: str, _earlier: Sequence[str]) -> str | None:
    match = _SAY.match(question)
    if match is None:
        return None
    text = match[1]
    if len(text) > 2 and text[0] in "\"'" and text.rstrip(".")[-1] == text[0]:
        text = text.rstrip(".")[1:-1]
    return text


def _recall(question: str, earlier: Sequence[str]) -> str | None:
    before = question[: -1 - len(question.rstrip("?.! ").rsplit(".", 1)[-1])]
    memory = [*earlier, before]
    if _WHO_AM_I.search(question) or (
        (asked := _ASK_MINE.search(question)) and asked[1].strip().lower() == "name"
    ):
        name = _latest(_NAME, memory)
        return f"Your name is {name[1]}." if name else "You have not told me your name."
    if asked := _ASK_MINE.search(question):
        subject = asked[1].strip().lower()
        for text in reversed(memory):
            for told in reversed(list(_MINE.finditer(text))):
                if told[1].lower() == subject:
                    return f"Your {subject} is {told[2].strip()}."
        return f"You have not told me your {subject}."
    if _ASK_REMEMBER.search(question) and (told_match := _latest(_REMEMBER, memory)):
        return f"You asked me to remember {told_match[1]}."
    if (which := _FIRST.search(question)) and earlier:
        position = which[1].lower()
        return f'Your {position} message was: "{earlier[0] if position == "first" else earlier[-1]}"'
    return None


def _latest(pattern: re.Pattern[str], memory: Sequence[str]) -> re.Match[str] | None:
    for text in reversed(memory):
        found = list(pattern.finditer(text))
        if found:
            return found[-1]
    return None


def _calculate(question: str, _earlier: Sequence[str]) -> str | None:
    match = _SUM.search(question)
    if match is None or len(match[0]) > 60:
        return None
    sum_text = match[0].rstrip(".")
    plain = sum_text.lower()
    for word, sign in _WORDS.items():
        plain = plain.replace(word, sign)
    try:
        value = _evaluate(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return f"{sum_text} = {value:.10g}"


def _evaluate(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left), _evaluate(right))
    raise ValueError("not a sum")


def _count(question: str, _earlier: Sequence[str]) -> str | None:
    match = _COUNT.search(question)
    if match is None:
        return None
    first, last = int(match[1] or 1), int(match[2])
    return ", ".join(str(number) for number in range(first, last + 1)) or "There is nothing to count."


def _know(question: str, _earlier: Sequence[str]) -> str | None:
    match = _WHAT_IS.search(question)
    if match is None:
        return None
    subject = re.sub(
        r"\s+(?:in one sentence|in a few words|briefly)$", "", match[1].strip().strip("\"'").lower()
    )
    return _FACTS.get(subject) or _FACTS.get(re.sub(r"^(?:an?|the)\s+", "", subject))


def _acknowledge(question: str, _earlier: Sequence[str]) -> str | None:
    if "?" in question:
        return None
    if name := _NAME.search(question):
        return f"Nice to meet you, {name[1]}. How can I help you?"
    if told := _MINE.search(question):
        return f"I will keep in mind that your {told[1].lower()} is {told[2].strip()}."
    if told := _REMEMBER.search(question):
        return f"I will remember {told[1]}."
    if _GREETING.match(question):
        return "Hello! How can I help you today?"
    return None


def _about(question: str) -> str:
    words = question.split()
    quoted = " ".join(words[:40]) + (" ..." if len(words) > 40 else "")
    kind = "asked" if "?" in question else "said"
    return (
        f'You {kind}: "{quoted}" This reply comes from the provider emulator, so it is made up from your own '
        "words "
        "and is the same every time you send them."
    )
