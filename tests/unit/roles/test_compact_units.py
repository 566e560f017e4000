"""The units that compact the store."""

import shlex
from typing import Any

import pytest

from support.roles import Role


def command(**variables: Any) -> list[str]:
    """What the service starts."""
    text = Role("log_store", log_store_analytics_image="tools:1", **variables).render("compact.service.j2")
    _, _, start = text.replace("\\\n", "").partition("ExecStart=")
    return start.partition("\n")[0].split()


def test_it_writes_to_the_store_alone_as_the_user_who_owns_it() -> None:
    words = command(log_store_path="/srv/store")
    volumes = [word for word in words if word.startswith("--volume=")]
    assert volumes == ["--volume=/srv/store:/srv/store:rw"]
    assert {"--user=10001:10001", "--network=none", "--cap-drop=ALL", "--read-only"} <= set(words)


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, []),
        ({"log_store_keep_requests_days": 400}, ["--keep-requests-days", "400"]),
        (
            {"log_store_keep_access_days": 90, "log_store_keep_quarantine_days": 30},
            ["--keep-access-days", "90", "--keep-quarantine-days", "30"],
        ),
    ],
)
def test_nothing_is_deleted_for_its_age_unless_asked_for(
    variables: dict[str, int], options: list[str]
) -> None:
    words = command(**variables)
    assert words[words.index("compact") + 1 :] == ["--format", "json", *options]


SECRET = 'wJalr/+"X\\y= z'
BUCKET = {
    "log_store_upload": "s3://records/fleet",
    "log_store_upload_environment": {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": SECRET},
}


def test_a_bucket_is_opened_by_variables_that_no_command_line_shows() -> None:
    words = command(**BUCKET)
    assert "--network=bridge" in words
    given = {word.removeprefix("--env=") for word in words if word.startswith("--env=")}
    assert {"GATEWAY_ANALYTICS_UPLOAD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= given
    role = Role("log_store", log_store_analytics_image="tools:1", **BUCKET)
    assert f"EnvironmentFile={role.evaluate('_log_store_upload_file')}\n" in role.render("compact.service.j2")
    assert "wJalr" not in role.render("compact.service.j2")
    # systemd takes the escapes of a quoted value away, as a shell does.
    assignments = [line for line in role.render("upload.env.j2").splitlines() if not line.startswith("#")]
    assert [shlex.split(line)[0] for line in assignments] == [
        "GATEWAY_ANALYTICS_UPLOAD=s3://records/fleet",
        "AWS_ACCESS_KEY_ID=AKIA1",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
    ]


def test_without_a_bucket_there_is_neither_network_nor_file() -> None:
    role = Role("log_store", log_store_analytics_image="tools:1")
    unit = role.render("compact.service.j2")
    assert "--network=none" in unit
    assert "EnvironmentFile" not in unit
    assert "AWS_" not in unit
