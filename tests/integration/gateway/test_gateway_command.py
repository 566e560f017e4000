"""The command's own words: options, and refusals that name the remedy."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gateway import KEY, environment, openai_endpoint, program, running_gateway

GOOD: dict[str, Any] = {"endpoints": [openai_endpoint("chat", "http://127.0.0.1:9/v1")]}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(), *arguments], env=environment(**variables), capture_output=True, text=True, timeout=60
    )


def with_config(directory: Path, config: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    path = directory / "config.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return run("--config-path", str(path), **variables)


def test_help_names_the_options_of_mlflow() -> None:
    text = run("--help").stdout
    for option in ("--config-path", "--host", "--port", "--workers", "MLFLOW_GATEWAY_CONFIG"):
        assert option in text


def test_no_configuration_is_a_usage_error() -> None:
    done = run()
    assert done.returncode == 2
    assert "--config-path" in done.stderr


def changed(**fields: Any) -> dict[str, Any]:
    return {"endpoints": [GOOD["endpoints"][0] | fields]}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("endpoints: [", "not YAML"),
        ("", "no list of endpoints"),
        ("- a\n- b\n", "no list of endpoints"),
        ("endpoints: {}\n", "no list of endpoints"),
        ({"endpoints": GOOD["endpoints"] * 2}, "Duplicate names"),
        (changed(name="a b"), "a b"),
        (changed(endpoint_type="llm/v1/nope"), "llm/v1/nope"),
        (changed(model={"provider": "nope", "name": "m"}), "nope"),
        (changed(limit={"calls": "many", "renewal_period": "minute"}), "calls"),
        (
            changed(model={"provider": "openai", "name": "m", "config": {"openai_api_key": "$UNSET_KEY"}}),
            "UNSET_KEY",
        ),
        (
            GOOD
            | {
                "routes": [
                    {
                        "name": "r",
                        "task_type": "llm/v1/chat",
                        "destinations": [{"name": "x", "traffic_percentage": 100}],
                    }
                ]
            },
            "'x'",
        ),
    ],
)
def test_a_bad_configuration_is_refused_with_its_reason(tmp_path: Path, config: Any, said: str) -> None:
    done = with_config(tmp_path, config)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_configuration_is_not_quoted_with_its_keys(tmp_path: Path) -> None:
    config = {"openai_api_key": KEY, "openai_api_type": "azure"}  # azure needs more
    done = with_config(tmp_path, changed(model={"provider": "openai", "name": "m", "config": config}))
    assert done.returncode == 2
    assert "openai_deployment_name" in done.stderr
    assert KEY not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("variable", "value"),
    [("GATEWAY_API_KEYS", "/etc/keys"), ("GATEWAY_REQUEST_LOG", "/nope"), ("GATEWAY_INSTANCE", "a/b")],
)
def test_a_bad_setting_is_refused_by_name(tmp_path: Path, variable: str, value: str) -> None:
    done = with_config(tmp_path, GOOD, **{variable: value})
    assert done.returncode == 2
    assert variable in done.stderr


def test_a_missing_secret_directory_is_refused(tmp_path: Path) -> None:
    done = with_config(tmp_path, GOOD, GATEWAY_SECRETS_DIR=str(tmp_path / "nope"))
    assert done.returncode == 2
    assert "GATEWAY_SECRETS_DIR" in done.stderr


def test_records_go_to_standard_output_on_request() -> None:
    with running_gateway(GOOD, GATEWAY_REQUEST_LOG="-") as gateway:
        assert gateway.chat("hello").status_code == 502
        gateway.stop()
        records = [line for line in gateway.log() if "schema_version" in line]
        assert [record["http_status"] for record in records] == [502]
        assert list(gateway.spool.iterdir()) == []
