"""A run as JUnit's XML, which every build server reads: a suite for each host, a test for each case.

https://github.com/testmoapp/junitxml
"""

import re
from typing import Any
from xml.etree import ElementTree

# What XML 1.0 cannot hold, not even escaped. https://www.w3.org/TR/xml/#charsets
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_OUTPUT = 10_000


def as_junit(document: dict[str, Any]) -> str:
    """Return a results document as JUnit's XML. Errored cases are errors, failed ones failures."""
    summary = document["summary"]
    root = ElementTree.Element(
        "testsuites",
        name="gateway-eval",
        tests=str(summary["cases"] + summary["not_run"]),
        failures=str(summary["failed"]),
        errors=str(summary["errored"]),
        skipped=str(summary["not_run"]),
        time=_seconds(summary["duration_ms"]),
        timestamp=document["started_at"],
    )
    for host in document["hosts"]:
        cases = [case for case in document["cases"] if case["base_url"] == host["base_url"]]
        root.append(_suite(document, host, cases))
    if summary["not_run"]:
        suite = ElementTree.SubElement(
            root, "testsuite", name="not run", tests=str(summary["not_run"]), skipped=str(summary["not_run"])
        )
        for number in range(1, summary["not_run"] + 1):
            case = ElementTree.SubElement(suite, "testcase", classname="not run", name=f"case {number}")
            ElementTree.SubElement(case, "skipped", message=str(summary["stopped"]))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(
    document: dict[str, Any], host: dict[str, Any], cases: list[dict[str, Any]]
) -> ElementTree.Element:
    totals = host["summary"]
    suite = ElementTree.Element(
        "testsuite",
        name=clean(host["name"]),
        tests=str(totals["cases"]),
        failures=str(totals["failed"]),
        errors=str(totals["errored"]),
        time=_seconds(sum(case["duration_ms"] for case in cases)),
        timestamp=document["started_at"],
    )
    properties = ElementTree.SubElement(suite, "properties")
    facts = {key: host[key] for key in ("base_url", "api", "endpoint", "provider", "model")}
    for name, value in {**facts, **_money(totals)}.items():
        if value is not None:
            ElementTree.SubElement(properties, "property", name=name, value=clean(str(value)))
    for case in cases:
        suite.append(_case(host, case))
    return suite


def _case(host: dict[str, Any], case: dict[str, Any]) -> ElementTree.Element:
    name = case["name"] if case["repeat"] == 1 else f"{case['name']} #{case['repeat']}"
    element = ElementTree.Element(
        "testcase", classname=clean(host["name"]), name=clean(name), time=_seconds(case["duration_ms"])
    )
    error = case["error"]
    if error:
        entry = ElementTree.SubElement(
            element, "error", type=error["class"], message=clean(f"{error['class']}: {error['message']}")
        )
        entry.text = clean(error["advice"])
    elif case["status"] == "failed":
        failed = [check for turn in _calls(case) for check in turn["checks"] if check["passed"] is False]
        entry = ElementTree.SubElement(
            element,
            "failure",
            type=failed[0]["name"],
            message=clean(f"{failed[0]['name']}: {failed[0]['detail']}"),
        )
        entry.text = clean("\n".join(f"{check['name']}: {check['detail']}" for check in failed))
    said = "\n\n".join(turn["output"][:_LONGEST_OUTPUT] for turn in _calls(case) if turn["output"])
    if said:
        ElementTree.SubElement(element, "system-out").text = clean(said)
    return element


def _calls(case: dict[str, Any]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = [*case["turns"], *case.get("other_calls", [])]
    return calls


def _money(totals: dict[str, Any]) -> dict[str, Any]:
    return {
        name: totals[name]
        for name in ("requests", "input_tokens", "output_tokens", "cost_usd", "unpriced_requests")
    }


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.3f}"


def clean(text: str) -> str:
    """Return text with a sign in place of each character that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)
