"""The units that compact the store."""

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
