"""What the environment may say, and what is refused with its remedy."""

import os
from pathlib import Path

import pytest

from gateway_serve.secret_files import SecretFileError, SecretFiles
from gateway_serve.settings import Settings, SettingsError


def test_without_variables_the_defaults_suit_calls_of_minutes() -> None:
    settings = Settings.from_environment({"GATEWAY_HOST": "gateway-1"})
    assert settings.host_name == settings.instance == "gateway-1"
    assert settings.request_log is None
    assert settings.graceful_timeout > 300  # MLflow waits 300 s for a provider
    assert settings.keep_alive > 60  # nginx keeps a connection for 60 s
    assert settings.forwarded_allow_ips == "127.0.0.1,::1"


@pytest.mark.parametrize("addresses", ["*", "10.3.49.202", "10.3.49.0/24, ::1", "127.0.0.1,192.0.2.0/25"])
def test_trusted_proxies_are_addresses_and_networks(addresses: str) -> None:
    settings = Settings.from_environment({"GATEWAY_HOST": "h", "FORWARDED_ALLOW_IPS": addresses})
    assert settings.forwarded_allow_ips == addresses


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_REQUEST_LOG_REQUIRED", "yes"),
        ("GATEWAY_REQUEST_LOG_REQUIRED", "true"),
        ("GATEWAY_HOST", "../etc"),
        ("GATEWAY_INSTANCE", "a b"),
        ("GATEWAY_INSTANCE", "x" * 65),
        ("GATEWAY_GRACEFUL_TIMEOUT", "5m"),
        ("GATEWAY_GRACEFUL_TIMEOUT", "0"),
        ("GATEWAY_LINGER", "-1"),
        ("GATEWAY_KEEP_ALIVE", "-1"),
        ("GATEWAY_WORKER_TIMEOUT", "1.5"),
        ("FORWARDED_ALLOW_IPS", "10.3.49.0/24,nginx"),
        ("FORWARDED_ALLOW_IPS", "10.3.49.1/24"),
        ("GATEWAY_REQUEST_LOG", "/no/such/directory"),
        ("GATEWAY_REQUEST_LOG", "/etc/hostname"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environment({"GATEWAY_HOST": "gateway-1", variable: value})


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SECRET_ONE", "SECRET_TWO"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    return tmp_path


def test_each_file_is_a_variable(secrets: Path) -> None:
    (secrets / "SECRET_ONE").write_text("sk-1\n")
    (secrets / "SECRET_TWO").write_text(" sk 2 \n\n")
    (secrets / "..data").mkdir()
    SecretFiles(secrets).load()
    assert os.environ["SECRET_ONE"] == "sk-1"
    assert os.environ["SECRET_TWO"] == " sk 2 \n"


def test_loading_again_follows_the_files(secrets: Path) -> None:
    files = SecretFiles(secrets)
    (secrets / "SECRET_ONE").write_text("old")
    (secrets / "SECRET_TWO").write_text("going")
    files.load()
    (secrets / "SECRET_ONE").write_text("new")
    (secrets / "SECRET_TWO").unlink()
    files.load()
    assert os.environ["SECRET_ONE"] == "new"
    assert "SECRET_TWO" not in os.environ


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("not-a-variable", b"x"),
        ("SECRET_ONE", b""),
        ("SECRET_ONE", b" \n"),
        ("SECRET_ONE", b"\xff"),
        ("SECRET_ONE", b"a\0b"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_quoted(
    secrets: Path, name: str, content: bytes
) -> None:
    (secrets / name).write_bytes(content)
    with pytest.raises(SecretFileError, match=f"GATEWAY_SECRETS_DIR.*{name}"):
        SecretFiles(secrets).load()


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="No such file"):
        SecretFiles(tmp_path / "nowhere").load()
