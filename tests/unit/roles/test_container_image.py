"""Role container_image: which base image, when an archive is written, and which requests are refused."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from support.roles import REPOSITORY, Role

FILES = REPOSITORY / "roles" / "container_image" / "files"
REGISTRY_IMAGE = "debian:trixie-slim"
OWN_IMAGE = "llm-gateway-base:trixie"

# A docker command with a registry and an engine that are directories of empty files.
DOCKER = """#!/bin/sh
echo "$*" >> "$FAKE/log"
case "$1 $2" in
  "image inspect") [ -e "$FAKE/engine/$3" ] ;;
  "pull --quiet") [ -e "$FAKE/registry/$3" ] && touch "$FAKE/engine/$3" ;;
  "save --output") echo "layers of $4" > "$3" ;;
  "import --change") cat > /dev/null; touch "$FAKE/engine/$5" ;;
  "make it") touch "$FAKE/engine/$3" ;;
  *) exit 64 ;;
esac
"""
DEBOOTSTRAP = """#!/bin/sh
echo "debootstrap $*" >> "$FAKE/log"
mkdir -p "$4/etc/apt" "$4/usr/share/doc" "$4/dev"
"""


class Machine:
    """A control machine: what its engine and its registry have, and what was asked of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("engine", "registry", "bin"):
            (path / name).mkdir()
        self.program("docker", DOCKER)
        self.program("debootstrap", DEBOOTSTRAP)
        self.program("id", "#!/bin/sh\necho 0\n")

    def program(self, name: str, text: str) -> None:
        file = self.path / "bin" / name
        file.write_text(text)
        file.chmod(0o755)

    def has(self, place: str, *images: str) -> Machine:
        for image in images:
            (self.path / place / image).touch()
        return self

    @property
    def log(self) -> list[str]:
        log = self.path / "log"
        return log.read_text().splitlines() if log.exists() else []

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}",
            "FAKE": str(self.path),
            "TMPDIR": str(self.path),
        }
        return subprocess.run(
            [FILES / script, *arguments], env=environment, text=True, capture_output=True, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_base_image_on_the_engine_is_used_without_asking_a_registry(machine: Machine) -> None:
    done = machine.has("engine", REGISTRY_IMAGE, OWN_IMAGE).run("base_image.sh")
    assert (done.returncode, done.stdout) == (0, f"{REGISTRY_IMAGE}\n")
    assert not [line for line in machine.log if line.startswith("pull")]


def test_base_image_is_pulled_where_a_registry_answers(machine: Machine) -> None:
    done = machine.has("registry", REGISTRY_IMAGE).run("base_image.sh")
    assert (done.returncode, done.stdout) == (0, f"{REGISTRY_IMAGE}\n")
    assert (machine.path / "engine" / REGISTRY_IMAGE).exists()


def test_base_image_is_put_together_once_where_no_registry_answers(machine: Machine) -> None:
    first = machine.run("base_image.sh")
    assert (first.returncode, first.stdout) == (0, f"{OWN_IMAGE}\n"), first.stderr
    second = machine.run("base_image.sh")
    assert (second.returncode, second.stdout) == (0, f"{OWN_IMAGE}\n")
    assert sum(line.startswith("debootstrap") for line in machine.log) == 1


def test_base_image_that_must_be_pulled_is_not_replaced(machine: Machine) -> None:
    done = machine.has("engine", OWN_IMAGE).run("base_image.sh", "--source", "pull")
    assert (done.returncode, done.stdout) == (1, "")
    assert "set the source to debootstrap" in done.stderr


def test_base_image_needs_root_for_debootstrap_and_says_what_else_helps(machine: Machine) -> None:
    machine.program("id", "#!/bin/sh\necho 1000\n")
    done = machine.run("base_image.sh", "--source", "debootstrap")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run as root, or pull debian:trixie-slim" in done.stderr


def test_base_image_dry_run_changes_nothing(machine: Machine) -> None:
    done = machine.has("registry", REGISTRY_IMAGE).run("base_image.sh", "--dry-run")
    assert (done.returncode, done.stdout) == (0, f"{REGISTRY_IMAGE}\n")
    assert list((machine.path / "engine").iterdir()) == []


@pytest.mark.parametrize("arguments", [("--source", "nowhere"), ("--source",), ("--what", "1")])
def test_base_image_refuses_wrong_usage(machine: Machine, arguments: tuple[str, ...]) -> None:
    assert machine.run("base_image.sh", *arguments).returncode == 2


def test_archive_holds_the_image_and_replaces_the_archives_of_older_tags(machine: Machine) -> None:
    older = machine.path / "llm-gateway:1.tar.gz"
    other = machine.path / "llm-gateway-tools:1.tar.gz"
    older.touch()
    other.touch()
    archive = machine.path / "llm-gateway:2.tar.gz"
    machine.has("engine", "llm-gateway:2")
    done = machine.run("image_archive.sh", "--image", "llm-gateway:2", "--archive", str(archive))
    assert done.returncode == 0, done.stderr
    assert gzip.decompress(archive.read_bytes()) == b"layers of llm-gateway:2\n"
    assert sorted(path.name for path in machine.path.glob("*.tar*")) == [archive.name, other.name][::-1]


def test_archive_makes_an_image_that_the_engine_lacks(machine: Machine) -> None:
    archive = machine.path / "a:1.tar.gz"
    done = machine.run(
        "image_archive.sh",
        "--image",
        "a:1",
        "--archive",
        str(archive),
        "--make",
        "docker",
        "make",
        "it",
        "a:1",
    )
    assert done.returncode == 0, done.stderr
    assert archive.exists()


def test_archive_is_not_left_half_written_when_the_image_cannot_be_had(machine: Machine) -> None:
    archive = machine.path / "a:1.tar.gz"
    done = machine.run("image_archive.sh", "--image", "a:1", "--archive", str(archive), "--make", "false")
    assert done.returncode == 1
    assert "a:1 cannot be had" in done.stderr
    assert not list(machine.path.glob("*.tar*"))


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        ({"container_image_name": "busybox"}, "set container_image_source to pull, control or archive"),
        ({"container_image_source": "pull"}, "needs container_image_tag"),
        (
            {
                "container_image_source": "control",
                "container_image_tag": "1",
                "container_image_digest": "sha256:0",
            },
            "container_image_digest is for container_image_source pull",
        ),
        ({"container_image_registry": "registry.example"}, "not for container_image_source build"),
        (
            {"container_image_source": "archive", "container_image_tag": "1"},
            "set container_image_archive to the file",
        ),
    ],
)
def test_requests_that_cannot_be_met_name_the_variable_and_the_remedy(
    variables: dict[str, str], remedy: str
) -> None:
    role = Role("container_image", **variables)
    assert remedy in role.evaluate("_container_image_problems | join(' ')")
