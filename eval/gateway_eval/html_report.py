"""A run as one page in HTML that needs no network: everything is inside, nothing in it runs."""

import json
from importlib import resources
from typing import Any

import jinja2

from gateway_eval.junit import clean


def as_html(document: dict[str, Any]) -> str:
    """Return a results document as a page. Whatever hosts and models said is shown as text, never as HTML."""
    template = resources.files("gateway_eval").joinpath("templates", "run.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        # HTML has no more use for control characters than XML.
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters["ms"] = _milliseconds
    environment.filters["said"] = _said
    return environment.from_string(template).render(
        run=document,
        names=list(dict.fromkeys((case["name"], case["repeat"]) for case in document["cases"])),
        by_key={(case["base_url"], case["name"], case["repeat"]): case for case in document["cases"]},
        slowest=max((case["duration_ms"] for case in document["cases"]), default=0) or 1,
    )


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _said(content: Any) -> str:
    """Return a message's content as text, whatever form it has."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1)
