"""Case files: what is read, and how what is wrong is said."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway_eval.case_problems import case_schema
from gateway_eval.cases import CasesError, load_cases, load_suite, parse_cases, suite_names
from gateway_eval.checks import _CHECKS
from gateway_eval.failure import FailureClass

ASK = {"role": "user", "content": "What is AI?"}


def parse(document: Any) -> Any:
    return parse_cases(json.dumps(document), "cases.json")


def problem(document: Any) -> str:
    with pytest.raises(CasesError) as caught:
        parse(document)
    message = str(caught.value)
    assert message.startswith("cases.json: ")
    assert "\n" not in message
    return message


def one(**fields: Any) -> dict[str, Any]:
    return {"schema_version": 1, "cases": [{"name": "a", **fields}]}


def test_every_problem_is_kept() -> None:
    with pytest.raises(CasesError, match=r"\(and 1 more") as caught:
        parse([{"name": "a", "mesages": []}, {"name": "b", "input": 7}])
    assert len(caught.value.problems) == 2


def test_input_is_short_for_one_message() -> None:
    short, long = parse([{"name": "a", "input": "What is AI?"}, {"name": "b", "messages": [ASK]}])
    assert short.calls == long.calls


def test_scripted_turns_are_said_but_not_called() -> None:
    (case,) = parse(
        one(
            turns=[
                {"system": "Be brief."},
                {"user": "I am Ada.", "assistant": "Hello Ada."},
                {"user": "Who am I?"},
            ]
        )
    )
    (call,) = case.calls
    assert [message["role"] for message in call.messages] == ["system", "user", "assistant", "user"]


def test_request_has_a_fitting_method() -> None:
    get, post = parse(
        [
            {"name": "a", "request": {"path": "/v1/models"}},
            {"name": "b", "request": {"path": "{chat_path}", "text": "{"}},
        ]
    )
    assert [case.calls[0].request.method for case in (get, post)] == ["GET", "POST"]
    assert (get.needs_endpoint, post.needs_endpoint) == (False, True)


def test_plain_list() -> None:
    (case,) = parse([{"name": "ai", "messages": [ASK]}])
    assert case.name == "ai"
    assert [call.messages for call in case.calls] == [(ASK,)]
    assert not case.calls[0].stream


def test_defaults_hold_where_a_case_says_nothing_else() -> None:
    defaults = {
        "endpoint": "chat",
        "stream": True,
        "parameters": {"max_tokens": 9, "temperature": 0},
        "checks": {"usage_present": True, "status": 200},
    }
    plain, own = parse(
        {
            "schema_version": 1,
            "defaults": defaults,
            "cases": [
                {"name": "plain", "messages": [ASK]},
                {
                    "name": "own",
                    "messages": [ASK],
                    "endpoint": "other",
                    "stream": False,
                    "parameters": {"max_tokens": 5},
                    "checks": {"status": [200, 201]},
                },
            ],
        }
    )
    assert (plain.endpoint, plain.calls[0].stream, plain.parameters["max_tokens"]) == ("chat", True, 9)
    assert (own.endpoint, own.calls[0].stream) == ("other", False)
    assert own.parameters == {"max_tokens": 5, "temperature": 0}
    assert own.calls[0].checks == {"usage_present": True, "status": [200, 201]}


def test_conversation_makes_one_call_for_each_user_turn() -> None:
    (case,) = parse(
        one(
            checks={"status": 200},
            expect_error="quota",
            turns=[
                {"system": "Be brief."},
                {"user": "My name is Ada."},
                {"user": "And I am 36.", "stream": True, "checks": {"contains": "36"}},
                {"user": "What is my name?"},
                {"assistant": "never reached by a call"},
            ],
        )
    )
    assert [[message["role"] for message in call.messages] for call in case.calls] == [
        ["system", "user"],
        ["user"],
        ["user"],
    ]
    assert [call.stream for call in case.calls] == [False, True, False]
    assert case.calls[1].checks == {"status": 200, "contains": "36"}
    assert [call.expect_error for call in case.calls] == [(), (), ("quota",)]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (one(mesages=[ASK]), ["cases[0]: unknown key 'mesages'", "did you mean 'messages'?"]),
        (one(messages=[ASK], checks={"contain": "x"}), ["cases[0].checks", "did you mean 'contains'?"]),
        (
            one(messages=[ASK], checks={"xyz": "x"}),
            ["unknown key 'xyz'", "known are: contains, contains_all, contains_any, cost_usd"],
        ),
        (one(turns=[{"user": "x", "check": {}}]), ["cases[0].turns[0]", "did you mean 'checks'?"]),
        ({"schema_version": 1, "case": []}, ["unknown key 'case'", "did you mean 'cases'?"]),
        ({"schema_version": 1}, ["'cases' is missing"]),
        ({"cases": [{"name": "a", "messages": [ASK]}]}, ["'schema_version' is missing"]),
        ({"schema_version": 2, "cases": []}, ["schema_version is 2", "reads 1"]),
        ([], ["cases"]),
        ("text", ["a list of cases"]),
        ([{"messages": [ASK]}], ["cases[0]: 'name' is missing"]),
        (one(), ["cases[0] (a)", "needs one of 'messages', 'input', 'turns', 'request' and 'health'"]),
        (one(messages=[ASK], turns=[{"user": "x"}]), ["not messages and turns"]),
        (one(messages=[]), ["cases[0].messages"]),
        (one(messages=[{"role": "robot", "content": "x"}]), ['"robot" is not known']),
        (one(messages=[ASK], checks={"regex": "("}), ["checks.regex: not a regular expression"]),
        (one(turns=[{"user": "x", "checks": {"not_regex": "["}}]), ["checks.not_regex"]),
        (
            one(messages=[ASK], checks={"status": "200"}),
            ["cases[0].checks.status", "neither one value nor a list"],
        ),
        (one(messages=[ASK], checks={"latency_ms": "1"}), ["cases[0].checks.latency_ms", "no bound"]),
        (one(messages=[ASK], checks={"latency_ms": {"maximum": 1}}), ["did you mean 'max'?"]),
        (one(messages=[ASK], checks={"length": {"min": 2, "max": 1}}), ["checks.length: min is more"]),
        (one(messages=[ASK], checks={"not_tokens": {"input": {"min": 2, "max": 1}}}), ["not_tokens: min"]),
        (one(messages=[ASK], checks={"tokens": {"outputs": 1}}), ["did you mean 'output'?"]),
        (one(messages=[ASK], checks={"tokens": 5}), ["cases[0].checks.tokens"]),
        (one(messages=[ASK], checks={"max_latency_ms": 5}), ["did you mean 'latency_ms'?"]),
        (one(messages=[ASK], checks={"is_json": "x"}), ["neither true nor a JSON Schema"]),
        (one(messages=[ASK], checks={"is_json": {"type": "objct"}}), ["is_json: not a JSON Schema"]),
        (one(messages=[ASK], checks={"is_json": {"$ref": "http://x.example/"}}), ["begin them with #"]),
        (one(messages=[ASK], checks={"header": {"x": 1}}), ["cases[0].checks.header.x"]),
        (one(input="x", messages=[ASK]), ["not messages and input"]),
        (one(input="x", tags=["a b"]), ["cases[0].tags[0]"]),
        (one(request={"path": "v1/models"}), ["cases[0].request.path"]),
        (one(request={"path": "/x", "body": {}, "text": ""}), ["give one of them"]),
        (one(request={"path": "/x", "method": "GET", "body": {}}), ["GET sends no content"]),
        (one(request={"path": "/x"}, stream=True), ["takes no 'stream'"]),
        (one(request={"path": "/x", "methd": "GET"}), ["did you mean 'method'?"]),
        (one(turns=[{"user": "x", "assistant": "y"}]), ["none of the turns has 'user' alone"]),
        (one(turns=[{"user": "x"}, {"user": "y", "assistant": "z", "checks": {}}]), ["turns[1]", "'checks'"]),
        (one(messages=[ASK], checks={"contains": ""}), ["cases[0].checks.contains"]),
        (one(messages=[ASK], checks={"latency_ms": -1}), ["cases[0].checks.latency_ms"]),
        (one(messages=[ASK], expect_error="quotas"), ["cases[0].expect_error", "did you mean 'quota'?"]),
        (
            one(messages=[ASK], parameters={"model": "x"}),
            ["cases[0].parameters", "'model' is made from the case itself"],
        ),
        (one(turns=[{"system": "x"}]), ["none of the turns has 'user' alone"]),
        (one(turns=[{"user": "x", "system": "y"}]), ["turns[0]: needs one of"]),
        (one(turns=[{"user": "x"}, {"assistant": "y", "stream": True}]), ["turns[1]", "'stream'"]),
        (one(health=True, checks={"status": 200}), ["takes no 'checks'"]),
        (
            [{"name": "a", "messages": [ASK]}, {"name": "a", "messages": [ASK]}],
            ["cases[1] (a)", "another case"],
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_remedy(document: Any, words: list[str]) -> None:
    message = problem(document)
    for expected in words:
        assert expected in message


def test_broken_json_is_located() -> None:
    with pytest.raises(CasesError, match="line 2, column 3"):
        parse_cases('[{"name": "a",\n  messages: []}]', "cases.json")


def test_a_key_given_twice_is_refused() -> None:
    """JSON readers keep the last: a check would be lost without a word."""
    text = '[{"name": "a", "messages": [{"role": "user"}], "checks": {"contains": "x", "contains": "y"}}]'
    with pytest.raises(CasesError, match="'contains' is given twice"):
        parse_cases(text, "cases.json")


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(CasesError):
        parse_cases("[" * 100_000, "cases.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe", "not UTF-8"), (None, "No such file"), (b"", "line 1")],
)
def test_unreadable_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "cases.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CasesError, match=words):
        load_cases(path)


def test_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text('[{"name": "a", "messages": [{"role": "user", "content": "x"}]}]', "utf-8-sig")
    assert [case.name for case in load_cases(path)] == ["a"]


def test_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(CasesError, match=r"there is: .*smoke"):
        load_suite("smoky")


def test_smoke_suite_asks_what_it_promises() -> None:
    cases = load_suite("smoke")
    questions = [message["content"] for case in cases for call in case.calls for message in call.messages]
    assert cases[0].health
    assert "What is AI?" in questions
    assert max(len(case.calls) for case in cases) > 1, "a conversation"
    assert any(call.stream for case in cases for call in case.calls)


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_is_valid(name: str) -> None:
    assert load_suite(name)


def test_schema_is_valid_and_names_exactly_the_checks_and_errors_there_are() -> None:
    schema = case_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    assert set(definitions["check"]["properties"]) == set(_CHECKS)
    assert set(definitions["checks"]["properties"]) == {
        f"{no}{name}" for name in _CHECKS for no in ("", "not_")
    }
    own = {FailureClass.MISSING_INPUT, FailureClass.BUDGET, FailureClass.INTERRUPTED}
    assert set(definitions["error_class"]["enum"]) == {cause.value for cause in set(FailureClass) - own}


def test_published_schema_takes_both_forms() -> None:
    validator = jsonschema.Draft202012Validator(case_schema())
    assert validator.is_valid([{"name": "a", "messages": [ASK]}])
    assert validator.is_valid(one(messages=[ASK]))
    assert not validator.is_valid(one(messages=[ASK], checks={"contain": "x"}))


def test_example_in_the_documentation_is_valid() -> None:
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert [case.name for case in parse_cases(example, "docs")] == [
        "capital",
        "remembers",
        "no credit left",
        "lists its models",
    ]
