"""Costs in the form that tools of others read."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Kind, Report, check_order

if TYPE_CHECKING:
    from gateway_analytics.records import Records

# FOCUS 1.2, the mandatory columns and those that we know: https://focus.finops.org/focus-specification/v1-2/
_FOCUS: tuple[tuple[str, Kind], ...] = (
    ("BilledCost", "usd"),
    ("BillingAccountId", "text"),
    ("BillingAccountName", "text"),
    ("BillingCurrency", "text"),
    ("BillingPeriodStart", "text"),
    ("BillingPeriodEnd", "text"),
    ("ChargeCategory", "text"),
    ("ChargeClass", "text"),
    ("ChargeDescription", "text"),
    ("ChargeFrequency", "text"),
    ("ChargePeriodStart", "text"),
    ("ChargePeriodEnd", "text"),
    ("ConsumedQuantity", "int"),
    ("ConsumedUnit", "text"),
    ("ContractedCost", "usd"),
    ("EffectiveCost", "usd"),
    ("InvoiceIssuerName", "text"),
    ("ListCost", "usd"),
    ("PricingCategory", "text"),
    ("PricingQuantity", "int"),
    ("PricingUnit", "text"),
    ("ProviderName", "text"),
    ("PublisherName", "text"),
    ("RegionId", "text"),
    ("ResourceId", "text"),
    ("ResourceType", "text"),
    ("ServiceCategory", "text"),
    ("ServiceName", "text"),
    ("SkuId", "text"),
    ("SubAccountId", "text"),
    ("Tags", "text"),
)
_BY = ("day", "provider", "model", "endpoint", "api_key", "owner", "team")


@click.command(epilog="Example: gateway-analytics export --focus -o costs.csv --last 30d --store /srv/store")
@query_options
@click.option("--focus", is_flag=True, required=True, help="FinOps FOCUS 1.2.")
def command(query: Query, focus: bool) -> None:  # noqa: ARG001 -- the one form there is
    """Costs per UTC day, provider, model, endpoint and key, a charge each, as FinOps FOCUS columns.

    CSV unless --format or the file's suffix says otherwise. What has no price is no charge: it is left out
    and named.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, exact_sum, load_book
    from gateway_analytics.output import write
    from gateway_analytics.totals import SUMS

    if query.by or query.tz != "UTC":
        raise UsageProblem("FOCUS charges are per UTC day. Leave out --by and --tz.")
    columns = [Column(name, kind) for name, kind in _FOCUS]
    check_order(query.sort, columns)
    if query.form == "table":
        query = replace(query, form="csv")
    book = load_book(query.prices, query.as_of)

    def answer(records: "Records") -> Report:
        priced = costs(records, book, _BY)
        rows = []
        charged = []
        for key, cost in sorted(priced.groups.items(), key=lambda item: tuple(str(part) for part in item[0])):
            if cost.spent_usd is not None:
                tokens = (cost.input_tokens or 0) + (cost.output_tokens or 0)
                rows.append(_charge(dict(zip(_BY, key, strict=True)), cost.spent_usd, tokens))
                charged.append(cost.spent_usd)
        report = Report(
            "export",
            records.range,
            columns,
            rows,
            {"BilledCost": exact_sum(charged)},
            records.warnings + priced.warnings,
            records.notes + ([priced.sentence] if priced.sentence else []),
        )
        report.arrange([query.sort] if query.sort else [], query.limit)
        return report

    write(ask(query, answer, kept=SUMS), query.form, query.output)


def _charge(group: dict[str, Any], cost: Decimal, tokens: int) -> dict[str, Any]:
    year, month = int(group["day"][:4]), int(group["day"][5:7])
    provider = group["provider"] or "unknown"
    model = group["model"] or "unknown"
    tags = {name: group[name] for name in ("api_key", "owner", "team", "endpoint") if group[name] is not None}
    return {
        "BilledCost": cost,
        "BillingAccountId": provider,
        "BillingAccountName": provider,
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{year:04}-{month:02}-01T00:00:00Z",
        "BillingPeriodEnd": f"{year + month // 12:04}-{month % 12 + 1:02}-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{provider} {model}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": f"{group['day']}T00:00:00Z",
        "ChargePeriodEnd": f"{_next(group['day'])}T00:00:00Z",
        "ConsumedQuantity": tokens,
        "ConsumedUnit": "Tokens",
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "PricingCategory": "Standard",
        "PricingQuantity": tokens,
        "PricingUnit": "Tokens",
        "ProviderName": provider,
        "PublisherName": provider,
        "RegionId": None,
        "ResourceId": group["endpoint"],
        "ResourceType": "Endpoint",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": model,
        "SkuId": f"{provider}/{model}",
        "SubAccountId": group["team"] or group["owner"] or group["api_key"],
        "Tags": json.dumps(tags, sort_keys=True),
    }


def _next(day: str) -> str:
    from datetime import date, timedelta

    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
