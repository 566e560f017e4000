"""Small sums in plain words."""

import ast
import operator
import re
from collections.abc import Callable

# Only where a sum is asked for: "call 10-12" and "2024-05-13" are no sums.
_ASKED = re.compile(
    r"(?:^|\b(?:what(?:'s| is)|calculate|compute|solve|how much is|add up)\s+)"
    r"(-?\d[\d.]{0,15}(?:\s*(?:\+|-|\*|/|x|plus|minus|times|divided by)\s*-?\d[\d.]{0,15}){1,9})"
    r"\s*=?\s*(?:[?.!]|$)",
    re.I,
)
_WORDS = {"plus": "+", "minus": "-", "times": "*", "divided by": "/", "x": "*"}
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def solve(question: str) -> str | None:
    """Return "2 + 3 = 5" for a question that asks for such a sum, else None."""
    match = _ASKED.search(question)
    if match is None:
        return None
    shown = match[1].rstrip(".")
    plain = shown.lower()
    for word, sign in _WORDS.items():
        plain = plain.replace(word, sign)
    try:
        value = _evaluate(ast.parse(plain, mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError):
        return None
    return f"{shown} = {value:.10g}"


def _evaluate(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left), _evaluate(right))
    raise ValueError("not a sum")
