"""The command on the log store's host: what of the host its container sees, and that words reach it whole."""

import os
import subprocess
from pathlib import Path

import pytest

from support.roles import Role

# The store, and where questions put what memory does not hold.
ALWAYS = {"/srv/store:/srv/store:ro", "/var/tmp:/var/tmp"}
DOCKER = '#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done\n'


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """The wrapper, with a docker that tells what it was asked for."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    path = tmp_path / "gateway-analytics"
    path.write_text(
        Role("log_store", log_store_analytics_image="tools:1", log_store_path="/srv/store").render(
            "gateway-analytics.j2"
        )
    )
    path.chmod(0o755)
    return path


def asked_for(wrapper: Path, *words: str) -> tuple[list[str], list[str]]:
    """The words of the command, and what Docker is told before them."""
    done = subprocess.run(
        [wrapper, *words],
        env=os.environ | {"PATH": f"{wrapper.parent}/bin:{os.environ['PATH']}"},
        cwd=wrapper.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.split("\0")[:-1]
    image = said.index("tools:1")
    return said[image + 1 :], said[:image]


def asked(wrapper: Path, *words: str) -> tuple[set[str], list[str]]:
    """The volumes, none of them twice, which Docker refuses, and the words of the command."""
    said, options = asked_for(wrapper, *words)
    volumes = [word.removeprefix("--volume=") for word in options if word.startswith("--volume=")]
    assert len({volume.split(":")[1] for volume in volumes}) == len(volumes)
    return set(volumes), said


def test_words_reach_the_command_as_they_were(wrapper: Path) -> None:
    words = ["query", "SELECT 'a b', \"c\" FROM costs\nLIMIT 1", "--api-key", "", "--tz", "*"]
    volumes, said = asked(wrapper, *words)
    assert said == words
    assert volumes == {*ALWAYS, f"{wrapper.parent}:/here"}


def test_a_file_with_its_full_path_is_written_where_it_was_asked_for(wrapper: Path, tmp_path: Path) -> None:
    place = tmp_path / "with blanks"
    place.mkdir()
    words = ["costs", "-o", f"{place}/costs.csv", f"--prices={place}/prices.yml", "--owners", "owners.yml"]
    volumes, said = asked(wrapper, *words)
    assert said == words
    assert volumes == {*ALWAYS, f"{wrapper.parent}:/here", f"{place}:{place}"}


def test_the_store_is_never_writable(wrapper: Path) -> None:
    volumes, _ = asked(wrapper, "costs", "-o", "/srv/store/requests/costs.csv", "--store", "/srv/store")
    assert {volume for volume in volumes if volume.startswith("/srv")} == {"/srv/store:/srv/store:ro"}


def test_a_file_may_lie_beside_what_questions_put_aside(wrapper: Path) -> None:
    volumes, said = asked(wrapper, "costs", "-o", "/var/tmp/costs.csv")
    assert said == ["costs", "-o", "/var/tmp/costs.csv"]
    assert volumes == {*ALWAYS, f"{wrapper.parent}:/here"}


@pytest.mark.parametrize(
    ("words", "network"),
    [
        (["costs", "--store", "s3://records/fleet"], "bridge"),
        (["costs", "--store=s3://records/fleet"], "bridge"),
        (["query", "SELECT 's3://records'"], "none"),
        (["costs"], "none"),
    ],
)
def test_only_a_store_in_a_bucket_needs_a_network(wrapper: Path, words: list[str], network: str) -> None:
    said, options = asked_for(wrapper, *words)
    assert said == words
    assert f"--network={network}" in options
    # By name alone: the caller's own values are in no command line.
    assert {"--env=AWS_ACCESS_KEY_ID", "--env=AWS_SECRET_ACCESS_KEY"} <= set(options)
