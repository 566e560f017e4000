"""What a host tells of records on their way, in a form that the node exporter takes."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from support.load_balancer import free_port, gateways
from support.monitoring import FLUENT_BIT, host_metrics


def samples(text: str) -> dict[str, float]:
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_fluent_bit_is_told_of_with_its_name(tmp_path: Path) -> None:
    page = FLUENT_BIT.read_text()
    with gateways(lambda handler: handler.reply(page)) as (fluent_bit,):
        found = samples(host_metrics(tmp_path, f"--fluent-bit=store=http://{fluent_bit.address}"))
    assert fluent_bit.calls[0].path == "/api/v2/metrics/prometheus"
    assert found["llm_gateway_fluent_bit_up[('service', 'store')]"] == 1
    assert "fluentbit_output_retries_total[('name', 'file.0'), ('service', 'store')]" in found


def test_a_time_that_a_sample_bears_is_left_out(tmp_path: Path) -> None:
    page = 'fluentbit_output_retries_total{name="forward.0"} 3 1795450280000\n'
    with gateways(lambda handler: handler.reply(page)) as (fluent_bit,):
        text = host_metrics(tmp_path, f"--fluent-bit=store=http://{fluent_bit.address}")
    assert 'fluentbit_output_retries_total{name="forward.0",service="store"} 3\n' in text


def test_a_fluent_bit_that_is_gone_is_told_of(tmp_path: Path) -> None:
    text = host_metrics(tmp_path, f"--fluent-bit=store=http://127.0.0.1:{free_port()}")
    assert text == 'llm_gateway_fluent_bit_up{service="store"} 0\n'


def test_the_newest_record_counts_wherever_compaction_put_it(tmp_path: Path) -> None:
    incoming, day = tmp_path / "incoming/requests", tmp_path / "requests/date=2026-11-23"
    for directory in (incoming, day):
        directory.mkdir(parents=True)
    (incoming / "requests-a.jsonl").touch()
    os.utime(incoming / "requests-a.jsonl", (1000, 1000))
    (day / "part.parquet").touch()
    os.utime(day / "part.parquet", (2000, 2000))
    assert "timestamp_seconds 2000\n" in host_metrics(tmp_path, f"--store={tmp_path}")
    (day / "part.parquet").unlink()
    assert "timestamp_seconds 1000\n" in host_metrics(tmp_path, f"--store={tmp_path}")


def test_an_empty_store_tells_nothing(tmp_path: Path) -> None:
    assert host_metrics(tmp_path, f"--store={tmp_path}") == ""
