"""Fallbacks that cannot work are refused with the configuration, by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gateway_serve.cli import main
from gateway_serve.endpoints import fallbacks_of
from support.gateway import openai_endpoint

NOWHERE = "http://127.0.0.1:9/v1"


def document(fallbacks: Any) -> dict[str, Any]:
    first = openai_endpoint("first", NOWHERE) | {"fallbacks": fallbacks}
    others = [openai_endpoint("second", NOWHERE), openai_endpoint("vectors", NOWHERE, "embeddings")]
    return {"endpoints": [first, *others]}


@pytest.mark.parametrize(("fallbacks", "found"), [(["second"], ("second",)), ([], ()), (None, ())])
def test_fallbacks(fallbacks: Any, found: tuple[str, ...]) -> None:
    assert fallbacks_of(document(fallbacks)) == {"first": found, "second": (), "vectors": ()}


@pytest.mark.parametrize(
    ("fallbacks", "said"),
    [
        (["nope"], "'nope', that is no endpoint"),
        ([7], "7, that is no endpoint"),
        (["vectors"], "first and its fallback vectors differ in endpoint_type"),
        (["first"], "the fallbacks of endpoint first must be a list of other endpoints' names"),
        ("second", "the fallbacks of endpoint first must be a list of other endpoints' names"),
    ],
)
def test_what_is_no_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallbacks: Any, said: str
) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "k")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document(fallbacks)))
    result = CliRunner().invoke(main, ["--config-path", str(path), "--check"])
    assert result.exit_code == 2
    assert said in result.output
