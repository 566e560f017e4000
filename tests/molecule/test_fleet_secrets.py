"""Secrets, after all that was done to the fleet: each is where it is used, and nowhere else. Runs last."""

from __future__ import annotations

import pytest

from support.fleet import ANSIBLE_LOG, Fleet
from support.steady_load import KEY as CALLERS_KEY

PROVIDERS_KEY = "demo-key-for-the-emulator"
HOSTS = ["gateway-1", "gateway-2"]  # the others have left by now


def holders(fleet: Fleet, host: str, secret: str) -> dict[str, str]:
    """Path to mode of each file on a host that has the secret: images, containers, journal, records too."""
    pattern = f"{secret[:-1]}[{secret[-1]}]"  # which the search itself does not hold
    found = fleet.shell(
        host,
        "find / /run /tmp /var/lib/docker /var/lib/containerd -xdev -type f -print0"
        f" | xargs -0 grep -lae '{pattern}' 2>/dev/null | xargs -r stat -c '%n %a'; true",
    )
    return dict(line.rsplit(" ", 1) for line in found.splitlines())


def running(fleet: Fleet, host: str) -> str:
    """Command lines and environments of processes, what Docker tells of its containers, and all logs."""
    return fleet.shell(
        host,
        "ps auxwwe; docker inspect $(docker ps -aq); journalctl -q;"
        " for container in $(docker ps -aq); do docker logs $container 2>&1; done",
    )


@pytest.fixture(scope="module")
def secrets(fleet: Fleet) -> dict[str, tuple[str, str]]:
    """Name to value, and the only directory in which the hosts may have it."""
    server = "/etc/llm-gateway/log_store/server"
    shared_key = fleet.shell("gateway-1", f"cat {server}/shared_key").strip()
    # A line from within the key is as good as the whole, and can be searched for.
    private_key = fleet.shell("gateway-1", f"sed -n 3p {server}/*.key").splitlines()[0]
    assert min(len(shared_key), len(private_key)) > 20
    return {
        "the provider's key": (PROVIDERS_KEY, "/etc/llm-gateway/"),
        "the shippers' shared key": (shared_key, "/etc/llm-gateway/"),
        "the store's private key": (private_key, server),
    }


@pytest.mark.parametrize("host", HOSTS)
def test_a_secret_is_in_files_of_its_user_alone(
    fleet: Fleet, secrets: dict[str, tuple[str, str]], host: str
) -> None:
    for name, (secret, place) in secrets.items():
        found = holders(fleet, host, secret)
        assert set(found.values()) <= {"400", "600"}, (name, found)
        assert all(path.startswith(place) for path in found), (name, found)
    assert holders(fleet, host, PROVIDERS_KEY), "the search finds what is there"


@pytest.mark.parametrize("host", HOSTS)
def test_a_callers_key_is_on_no_disk(fleet: Fleet, host: str) -> None:
    assert holders(fleet, host, CALLERS_KEY) == {}


@pytest.mark.parametrize("host", HOSTS)
def test_no_secret_is_in_a_process_list_a_description_or_a_log(
    fleet: Fleet, secrets: dict[str, tuple[str, str]], host: str
) -> None:
    seen = running(fleet, host)
    assert "llm-gateway-1" in seen
    for secret, _ in (*secrets.values(), (CALLERS_KEY, "")):
        assert secret not in seen


def test_ansible_says_no_secret_however_talkative(secrets: dict[str, tuple[str, str]]) -> None:
    said = ANSIBLE_LOG.read_text()
    assert "Write the secrets" in said
    assert "ESTABLISH SSH CONNECTION" in said  # -vvv
    for name, (secret, _) in secrets.items():
        assert secret not in said, name
