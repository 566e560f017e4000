"""`gateway-serve keys`: make a key, and check a file of keys."""

import hashlib
import re
import secrets
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from gateway_contracts.exit_codes import ExitCode
from gateway_serve.api_keys import ApiKeys, KeyFileError

# Says what it is to whoever finds it, and to scanners for leaked secrets. 256 random bits follow.
_PREFIX = "sk-llm-gateway-"


@click.group()
def keys() -> None:
    """Make and check the keys that let callers in."""


@keys.command()
@click.option("--owner", required=True, help="Who answers for what the key is used for.")
@click.option("--team", help="The owner's team.")
@click.option("--id", "key_id", help="The key's name in records and reports.  [default: made from the owner]")
@click.option("--valid-from", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC) on which it is valid.")
@click.option("--valid-until", type=click.DateTime(["%Y-%m-%d"]), help="Last day (UTC) on which it is valid.")
@click.option("--endpoint", "endpoints", multiple=True, help="An endpoint that it may use; repeat for more.")
@click.option("--requests-per-minute", type=click.IntRange(1), help="Calls in any minute.")
@click.option("--tokens-per-minute", type=click.IntRange(1), help="Input and output tokens in any minute.")
def new(
    owner: str,
    team: str | None,
    key_id: str | None,
    valid_from: datetime | None,
    valid_until: datetime | None,
    endpoints: tuple[str, ...],
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
) -> None:
    """Print a new key, once, and the entry to store for it.

    The entry goes to standard output, to be added to the list `keys` of the file that GATEWAY_API_KEYS names.
    The key goes to standard error, for its owner: it is stored nowhere and cannot be shown again.

    \b
    Example:
      gateway-serve keys new --owner alice@example.com --team search --valid-until 2027-03-31 >> keys.yaml
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    entry: dict[str, Any] = {
        "id": key_id or _id(owner),
        "sha256": digest,
        "owner": owner,
        "team": team,
        "valid_from": _day(valid_from),
        "valid_until": _day(valid_until),
        "endpoints": list(endpoints) or None,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    given = {name: value for name, value in entry.items() if value is not None}
    text = yaml.safe_dump([given], sort_keys=False, allow_unicode=True, width=200)
    try:
        ApiKeys.parse(b"keys:\n" + text.encode())
    except KeyFileError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"The key, shown only this once:\n\n    {secret}\n", err=True)
    click.echo("\n".join(f"  {line}" for line in text.splitlines()))


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def check(context: click.Context, file: Path) -> None:
    """Check a file of keys, and list them without their hashes.

    Exit code 2 where the gateway would refuse the file.

    \b
    Example:
      gateway-serve keys check /etc/llm-gateway/gateway/keys/keys.yaml
    """
    try:
        found = ApiKeys.parse(file.read_bytes())
    except (OSError, KeyFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        click.echo(f"{file} is no valid file of keys: {reason}", err=True)
        context.exit(ExitCode.USAGE)
    now = datetime.now(UTC)
    for key in found:
        state = "valid" if key.is_valid_at(now) else "not valid now"
        click.echo(f"{key.id}\t{key.owner}\t{key.team or ''}\t{state}")
    click.echo(f"{len(found)} keys, limits shared by {found.instances} instances", err=True)


def _id(owner: str) -> str:
    # Two keys of one owner get different ids: one of them will replace the other.
    name = re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:48]
    return f"{name or 'key'}-{secrets.token_hex(3)}"


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
