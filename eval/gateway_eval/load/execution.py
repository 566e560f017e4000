"""Runs a load to its end, or to the first Ctrl-C."""

import asyncio
import signal

import uvloop

from gateway_eval.load.generator import Generator
from gateway_eval.load.live_view import View


def execute(generator: Generator, view: View) -> None:
    """Put the load and show how it is doing. On SIGINT and SIGTERM it ends, and what it measured is kept."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_put(generator, view))
    finally:
        view.close()


async def _put(generator: Generator, view: View) -> None:
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, generator.stop, "interrupted")
    try:
        await generator.run(view.look, view.every)
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
