"""The page on the log store's host: served by a real nginx, to those who have the password."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from support.certificates import certificate_for
from support.fleet import wait_until
from support.load_balancer import NGINX, free_port
from support.roles import Role

PAGE = "<!doctype html><title>report</title>\n"
CALLER = ("report", "open sesame")

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="no nginx on this machine")


class Server:
    """A running nginx with the role's configuration."""

    def __init__(self, directory: Path) -> None:
        self.page = directory / "report.html"
        self.port = free_port()
        self.certificate, key = certificate_for(directory, "127.0.0.1")
        (directory / "server.crt").write_bytes(self.certificate.read_bytes())
        (directory / "server.key").write_bytes(key.read_bytes())
        (directory / "tmp").mkdir()
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-salt", "0123456789abcdef", "-stdin"],
            input=CALLER[1],
            capture_output=True,
            text=True,
            check=True,
        )
        (directory / "password").write_text(f"{CALLER[0]}:{hashed.stdout}")
        role = Role(
            "log_store",
            ansible_managed="Made by Ansible",
            log_store_report_port=self.port,
            log_store_report_bind_address="127.0.0.1",
            _log_store_report_config_path=str(directory),
            _log_store_report_path=str(directory),
        )
        (directory / "nginx.conf").write_text(role.render("report.nginx.conf.j2"))
        self.process = subprocess.Popen(
            [NGINX, "-c", f"{directory}/nginx.conf", "-g", f"pid {directory}/pid; daemon off; user root;"]
        )

    def get(self, path: str = "/", user: tuple[str, str] | None = CALLER) -> requests.Response:
        return requests.get(
            f"https://127.0.0.1:{self.port}{path}", auth=user, verify=str(self.certificate), timeout=30
        )

    def answers(self) -> bool:
        try:
            return self.get().status_code > 0
        except requests.ConnectionError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("report"))
    try:
        wait_until(running.answers, 30, "nginx")
        yield running
    finally:
        running.process.terminate()
        running.process.wait()


def test_the_page_is_for_those_who_have_the_password(server: Server) -> None:
    server.page.write_text(PAGE)
    answer = server.get()
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-store"
    for user in (None, ("report", "wrong"), ("admin", CALLER[1]), ("report", "")):
        refused = server.get(user=user)
        assert refused.status_code == 401
        assert PAGE not in refused.text


@pytest.mark.parametrize(
    "path", ["/password", "/server.key", "/nginx.conf", "/../password", "/report.html", "/tmp/"]
)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    server.page.write_text(PAGE)
    assert server.get(path).status_code in (400, 404)


def test_before_the_first_report_there_is_none(server: Server) -> None:
    server.page.unlink(missing_ok=True)
    assert server.get().status_code == 503


def test_the_port_speaks_tls_alone(server: Server) -> None:
    answer = requests.get(f"http://127.0.0.1:{server.port}/", auth=CALLER, timeout=30)
    assert answer.status_code == 400


def test_passwords_cannot_be_tried_by_the_thousand(server: Server) -> None:
    assert 429 in {server.get(user=("report", str(attempt))).status_code for attempt in range(200)}
