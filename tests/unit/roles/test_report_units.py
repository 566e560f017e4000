"""The units that make the report of the log store."""

from typing import Any

from support.roles import Role


def command(**variables: Any) -> list[str]:
    """What the service starts."""
    role = Role(
        "log_store", ansible_managed="Made by Ansible", log_store_analytics_image="tools:1", **variables
    )
    _, _, start = role.render("report.service.j2").replace("\\\n", "").partition("ExecStart=")
    return start.partition("\n")[0].split()


def test_it_reads_the_store_and_writes_the_page_alone() -> None:
    words = command(log_store_path="/srv/store")
    volumes = [word.removeprefix("--volume=") for word in words if word.startswith("--volume=")]
    assert [volume for volume in volumes if volume.endswith(":rw")] == [
        "/var/lib/llm-gateway/log_store/report:/var/lib/llm-gateway/log_store/report:rw"
    ]
    assert "/srv/store:/srv/store:ro" in volumes
    assert {"--user=10001:10001", "--network=none", "--cap-drop=ALL", "--read-only"} <= set(words)


def test_options_and_budgets_reach_the_command() -> None:
    words = command(log_store_report_options="--last 7d --tz Europe/Berlin")
    assert words[words.index("report") + 3 :] == ["--last", "7d", "--tz", "Europe/Berlin"]
    words = command(log_store_report_budgets=[{"name": "all", "limit_usd": "5.00"}])
    assert words[words.index("report") + 3 :] == ["--budgets", "/budgets.yml", "--last", "30d"]


def test_the_server_sees_no_records() -> None:
    unit = Role("log_store", ansible_managed="Made by Ansible", log_store_path="/srv/store").render(
        "report-server.service.j2"
    )
    assert "InaccessiblePaths=/srv/store" in unit
    assert "User=www-data" in unit
