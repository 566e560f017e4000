"""The image's digest changes with what the image is made of, and with nothing else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PARTS = ("pyproject.toml", "LICENSE", "requirements", "contracts", "gateway", "analytics", "eval")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / part)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "gateway" / "build_image.sh", *arguments], capture_output=True, text=True, timeout=60
    )


def digests(project: Path, *arguments: str) -> dict[str, str]:
    return {
        target: run(project, "--target", target, "--print-digest", *arguments).stdout.strip()
        for target in ("gateway", "tools")
    }


def changed(project: Path, file: str) -> set[str]:
    """Return the targets whose digest changes with a file."""
    before = digests(project)
    path = project / file
    path.write_text((path.read_text() if path.exists() else "") + "\n")
    after = digests(project)
    return {target for target in before if before[target] != after[target]}


def test_a_digest_is_twelve_hexadecimal_digits_and_the_same_anywhere(project: Path) -> None:
    ours = digests(project)
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in ours.values())
    assert len(set(ours.values())) == 2
    assert ours == digests(REPOSITORY)


def test_a_tag_is_version_and_digest(project: Path) -> None:
    version = re.search(r'^version = "(.*)"$', (project / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert run(project, "--print-tag").stdout.strip() == f"{version[1]}-{digests(project)['gateway']}"


@pytest.mark.parametrize(
    ("file", "targets"),
    [
        ("gateway/gateway_serve/cli.py", {"gateway"}),
        ("requirements/gateway.txt", {"gateway"}),
        ("analytics/gateway_analytics/__init__.py", {"tools"}),
        ("eval/gateway_eval/__init__.py", {"tools"}),
        ("requirements/tools.txt", {"tools"}),
        ("contracts/gateway_contracts/request_record.py", {"gateway", "tools"}),
        ("gateway/Dockerfile", {"gateway", "tools"}),
        ("contracts/gateway_contracts/prices.yml", {"tools"}),
        ("requirements/dev.txt", set()),
        ("README.md", set()),
        ("gateway/gateway_serve/__pycache__/cli.cpython-311.pyc", set()),
    ],
)
def test_a_change_concerns_the_images_that_hold_it(project: Path, file: str, targets: set[str]) -> None:
    (project / file).parent.mkdir(exist_ok=True)
    assert changed(project, file) == targets


def test_a_linters_setting_makes_no_new_image(project: Path) -> None:
    before = digests(project)
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("line-length = 110", "line-length = 111"))
    assert digests(project) == before


def test_another_base_makes_another_image(project: Path) -> None:
    before, after = digests(project), digests(project, "--base", "debian:13")
    assert all(before[target] != after[target] for target in before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--tag"),
        (("--target", "nope", "--tag", "x"), "gateway or tools"),
        (("--tag",), "--tag needs a value"),
        (("--nope",), "unknown option --nope"),
        (("--tag", "x", "--ca-bundle", "/nope.pem"), "/nope.pem"),
        (("--tag", "x", "--wheels", "/nope"), "/nope"),
    ],
)
def test_a_bad_option_is_named(project: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(project, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
