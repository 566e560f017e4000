"""gunicorn in this process: a master that loads the application once, and the workers forked from it."""

import asyncio
import contextlib
import ctypes
import gc
import itertools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from uvicorn_worker import UvicornWorker

from gateway_serve.application import Application, ConfigError, config_digest
from gateway_serve.http_protocol import Protocol
from gateway_serve.log_lines import GunicornLog
from gateway_serve.metrics import memory_directory
from gateway_serve.settings import Settings

_logger = logging.getLogger(__name__)

# Between the workers' own end of patience, which still writes records, and the master's, which kills.
_KILL_MARGIN_S = 5
_LAST_WORDS_S = 2
# uvicorn ticks ten times a second.
_TICKS_A_COLLECTION = 10

# glibc's M_MMAP_THRESHOLD: the size from which it takes a block from the system and gives it back. mallopt(3)
# Left alone it raises that size once such a block is freed, as the 256 KB that a TLS connection reads into.
# From then on they come and go in the heap, which grows with its gaps.
_MMAP_THRESHOLD = -3
_MMAP_BYTES = 128 * 1024


def run(application: Application, settings: Settings, host: str, port: int, workers: int) -> None:
    """Serve the loaded application until a signal ends it; ends the process."""
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
    _Master(_Server(application, settings, host, port, workers)).run()


class Worker(UvicornWorker):  # type: ignore[misc]
    """uvicorn under gunicorn, without access log: the request record is the log."""

    # uvicorn's own shape of a class attribute.
    CONFIG_KWARGS = {"loop": "auto", "http": Protocol, "ws": "none", "access_log": False}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = -1  # its place among the workers; the master gives it
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout - _KILL_MARGIN_S
        self._linger_s = min(self.app.linger, self.config.timeout_graceful_shutdown)

    def init_process(self) -> None:
        """Begin as a process of its own, then serve."""
        self.app.application.begin_process(self.number)
        super().init_process()

    async def _serve(self) -> None:
        # As the parent does, with our server in place of uvicorn's.
        self.config.app = self.wsgi
        application: Application = self.app.application
        server = _PatientServer(self.config, self.ppid, self._linger_s, application.begin_stop)
        # What the master sends on INT and QUIT; the parent class only sets a flag that uvicorn does not read.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.quit)
        # Plain sockets: uvloop would close the number behind gunicorn's own ones twice.
        await server.serve(sockets=[listener.sock for listener in self.sockets])
        application.end_process()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class _PatientServer(uvicorn.Server):
    """uvicorn's server, with an end that loses no call: neither one that just begins nor one that is cut."""

    def __init__(
        self, config: uvicorn.Config, master: int, linger_s: float, begin_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._master = master
        self._linger_s = linger_s
        self._begin_stop = begin_stop

    async def on_tick(self, counter: int) -> bool:
        # A worker without a master would hold the port for ever, with nobody to stop it.
        if os.getppid() != self._master:
            self.should_exit = True
        if counter % _TICKS_A_COLLECTION == 0:
            gc.collect()
        return await super().on_tick(counter)

    def quit(self) -> None:
        """Stop now: cut the open calls, which still write their records."""
        self.should_exit = self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begun = time.monotonic()
        self._begin_stop()
        await self._linger(sockets or [])
        patience = self.config.timeout_graceful_shutdown
        if patience is not None:
            self.config.timeout_graceful_shutdown = max(patience - int(time.monotonic() - begun), 1)
        await super().shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_LAST_WORDS_S)

    async def _linger(self, sockets: list[socket.socket]) -> None:
        """Take no new connections, but for a while still the requests that arrive on open ones.

        uvicorn closes a connection without a call at once, also where a request is just arriving on it.
        Whoever asks now is answered and told to close, and a load balancer closes those that it leaves idle:
        so none is left that a call could meet closing.
        """
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        deadline = time.monotonic() + self._linger_s
        # uvicorn tells nobody when a connection ends.
        while state.connections and not self.force_exit and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class _Server(BaseApplication):  # type: ignore[misc]
    """What gunicorn asks for: settings, and the app."""

    def __init__(
        self, application: Application, settings: Settings, host: str, port: int, workers: int
    ) -> None:
        self.application = application
        self._settings = settings
        self._bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._workers = workers
        self.linger = settings.linger
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": [self._bind],
            "workers": self._workers,
            "worker_class": Worker,
            "logger_class": GunicornLog,
            "preload_app": True,
            # The heartbeat of the worker's event loop. Open streams do not delay it, however long they last.
            "timeout": self._settings.worker_timeout,
            "graceful_timeout": self._settings.graceful_timeout + _KILL_MARGIN_S,
            "keepalive": self._settings.keep_alive,
            "forwarded_allow_ips": self._settings.forwarded_allow_ips,
            # The heartbeat's file: in memory, so that a slow disk is not taken for a dead worker.
            "worker_tmp_dir": memory_directory(),
            # A socket file that nobody here uses, where the root file system may be read-only.
            "control_socket_disable": True,
            "pre_fork": _number,
            "child_exit": _forget,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self.application.app


class _Master(Arbiter):  # type: ignore[misc]
    """gunicorn's master, which also watches the configuration file and reloads without dropping a call."""

    def __init__(self, server: _Server) -> None:
        super().__init__(server)
        self._seen = self._stamp()
        self._refused = ""

    def murder_workers(self) -> None:
        """Do what gunicorn does about every second, and look at the configuration file."""
        super().murder_workers()
        self.app.application.refresh_keys()
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        application = self.app.application
        try:
            digest = config_digest(application.config_path)
        except ConfigError as error:
            _logger.warning("%s; still serving the one before", error)
            return
        if digest not in (application.digest, self._refused):
            self.SIG_QUEUE.put_nowait(signal.SIGHUP)

    def handle_hup(self) -> None:
        """Load secrets and configuration again; new workers take over, old ones finish their calls.

        gunicorn's own reload hears no SIGTERM and replaces no dead worker until the last old call is over.
        """
        application: Application = self.app.application
        try:
            application.load()
        except ConfigError as error:
            with_digest = _digest_or_empty(application.config_path)
            self._refused = with_digest
            _logger.error("not reloaded, still serving configuration %s: %s", application.digest, error)
            return
        self._refused = ""
        self.app.callable = None
        self.app.wsgi()
        _logger.info("configuration %s loaded, replacing workers", application.digest)
        for _ in range(self.num_workers):
            self.spawn_worker()
        self.manage_workers()

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = Path(self.app.application.config_path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def _digest_or_empty(path: Path) -> str:
    try:
        return config_digest(path)
    except ConfigError:
        return ""


def _number(master: Arbiter, worker: Worker) -> None:
    """Give a worker the smallest number that none of the living has."""
    taken = {other.number for other in master.WORKERS.values()}
    worker.number = next(number for number in itertools.count() if number not in taken)


def _forget(master: Arbiter, worker: Worker) -> None:
    master.app.application.metrics.forget(worker.number)
