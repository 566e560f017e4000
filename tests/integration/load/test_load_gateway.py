"""Load on this project's gateway: what the client counts, provider and records count too."""

import pytest

from support.emulator import running_emulator
from support.evaluation import gateway_eval
from support.gateway import openai_endpoint, running_gateway

CALLS = 60


@pytest.fixture(scope="module")
def provider():
    with running_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(provider):
    config = {"endpoints": [openai_endpoint("chat", provider.openai_url)]}
    with running_gateway(config) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_client_provider_and_records_agree(gateway, provider, tmp_path, stream):
    provider.reset()
    before = len(gateway.records())
    arguments = ["--concurrency", "4", "--requests", str(CALLS), "--prompt-tokens", "20-200", "--json", "-q"]
    ended = gateway_eval(tmp_path, "load", gateway.url, *arguments, *(["--stream"] if stream else []))
    assert ended.code == 0, ended.err
    totals = ended.json()["totals"]
    served = provider.wait_until("in_flight == 0")
    records = gateway.wait_for_records(before + CALLS)[before:]
    assert totals["requests"] == served["completed"] == len(records) == CALLS
    assert served["streams"]["completed"] == (CALLS if stream else 0)
    for side in ("input_tokens", "output_tokens"):
        assert totals[side] == sum(record[side] for record in records) == served[side]
