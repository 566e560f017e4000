"""Streamed answers reach the caller as they are made."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
import requests

from support.load_balancer import NGINX, GatewayHandler, gateways, load_balancer

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")


def test_the_first_chunk_arrives_before_the_answer_is_complete(tmp_path: Path) -> None:
    first_read = threading.Event()

    def stream(handler: GatewayHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.chunk("data: 1\n\n")
        # Only a caller that has the first chunk lets the second one out.
        if first_read.wait(20):
            handler.chunk("data: 2\n\n")
        handler.chunk("")

    with gateways(stream) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        with requests.post(
            f"{balancer.url}/v1/chat/completions", json={"stream": True}, stream=True, timeout=10
        ) as answer:
            chunks = answer.iter_content(chunk_size=None)
            assert next(chunks) == b"data: 1\n\n"
            first_read.set()
            assert b"".join(chunks) == b"data: 2\n\n"
        (record,) = balancer.records(1)
    assert record["http_status"] == 200


def test_a_stream_cut_by_its_gateway_is_cut_for_the_caller_too(tmp_path: Path) -> None:
    def cut(handler: GatewayHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.chunk("data: 1\n\n")
        handler.close_connection = True

    with (
        gateways(cut, None) as (cutting, other),
        load_balancer(tmp_path, cutting.address, other.address) as balancer,
    ):
        cut_calls = 0
        for _ in range(2):
            try:
                requests.post(f"{balancer.url}/v1/chat/completions", json={"stream": True}, timeout=10)
            except requests.exceptions.ChunkedEncodingError:
                cut_calls += 1
        assert (cut_calls, len(cutting.calls), len(other.calls)) == (1, 1, 1)
