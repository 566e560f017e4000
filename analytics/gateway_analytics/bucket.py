"""Parquet of a store in an S3 bucket, s3://BUCKET/PREFIX, with credentials from the environment.

What AWS's own tools read is read here: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
AWS_REGION, and AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL for a server that is not Amazon's.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway_analytics import parts
from gateway_analytics.problems import UsageProblem
from gateway_analytics.record_kind import RecordKind

if TYPE_CHECKING:
    import duckdb

# A path of s3://bucket/prefix is s3:/bucket/prefix.
_URL = re.compile(r"s3:/*([^/]*)/*(.*?)/*")
_NO_BUCKET = {"NoSuchBucket", "404"}
_DENIED = {
    "AccessDenied",
    "403",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
}


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket, below which lie requests/date=.../ and access/date=.../."""

    name: str
    prefix: str

    @classmethod
    def of(cls, store: Path | str) -> "Bucket | None":
        """The place that a store's path names; None where it names a directory. Raises UsageProblem."""
        match = _URL.fullmatch(str(store))
        if match and not match[1]:
            raise UsageProblem(f"{store} names no bucket. Give s3://BUCKET/PREFIX.")
        return cls(match[1], match[2]) if match else None

    @property
    def url(self) -> str:
        """The place as s3://BUCKET/PREFIX."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def key(self, *names: str) -> str:
        """The key of an object here."""
        return "/".join((self.prefix, *names) if self.prefix else names)

    def written(self, kind: RecordKind) -> dict[str, datetime]:
        """All objects of a kind, each with when it was written, by key. Raises UsageProblem."""
        found: dict[str, datetime] = {}
        with self._told():
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=self.key(kind.name, "date=")):
                found.update((one["Key"], one["LastModified"]) for one in page.get("Contents", ()))
        return found

    def parts(self, kind: RecordKind, first_utc_date: str | None, last_utc_date: str | None) -> list[str]:
        """URLs of the Parquet files that hold the records of these UTC dates. Raises UsageProblem."""
        days: dict[str, list[str]] = {}
        for key in self.written(kind):
            directory, _, name = key.rpartition("/")
            day = directory.rpartition("date=")[2]
            if name.endswith(".parquet") and (first_utc_date or day) <= day <= (last_utc_date or day):
                days.setdefault(directory, []).append(name)
        return [
            f"s3://{self.name}/{directory}/{name}"
            for directory, names in sorted(days.items())
            for name in sorted(set(names) - parts.replaced(names))
        ]

    def put(self, key: str, content: bytes) -> bool:
        """Write an object that is not there yet; False where it is. Raises UsageProblem."""
        from botocore.exceptions import ClientError

        with self._told():
            try:
                self._client.put_object(Bucket=self.name, Key=key, Body=content, IfNoneMatch="*")
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                    return False
                raise
        return True

    def get(self, key: str) -> bytes:
        """The content of an object. Raises UsageProblem."""
        with self._told():
            content: bytes = self._client.get_object(Bucket=self.name, Key=key)["Body"].read()
            return content

    def delete(self, key: str) -> None:
        """Remove an object. Raises UsageProblem."""
        with self._told():
            self._client.delete_object(Bucket=self.name, Key=key)

    def open_for(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Let a connection read this bucket. Raises UsageProblem."""
        from importlib.resources import files

        from gateway_analytics.engine import duckdb

        version = f"v{duckdb.__version__}"
        remedy = f"Install duckdb-extension-httpfs=={duckdb.__version__}."
        try:
            extension = files("duckdb_extension_httpfs") / "extensions" / version / "httpfs.duckdb_extension"
        except ModuleNotFoundError:
            raise UsageProblem(f"DuckDB's extension for S3 is not installed. {remedy}") from None
        try:
            connection.execute(f"LOAD {_quoted(str(extension))}")
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise UsageProblem(f"DuckDB's extension for S3 cannot be loaded: {reason} {remedy}") from None
        key_id, secret, token = self._credentials
        endpoint = urlsplit(_endpoint() or "")
        options = {"KEY_ID": key_id, "SECRET": secret, "REGION": _region(), "SCOPE": f"s3://{self.name}"}
        if token:
            options["SESSION_TOKEN"] = token
        if endpoint.netloc:
            ssl = "false" if endpoint.scheme == "http" else "true"
            options |= {"ENDPOINT": endpoint.netloc, "URL_STYLE": "path", "USE_SSL": ssl}
        text = ", ".join(f"{name} {_quoted(value)}" for name, value in options.items())
        connection.execute(f"CREATE OR REPLACE TEMPORARY SECRET bucket (TYPE s3, {text})")

    @property
    def _credentials(self) -> tuple[str, str, str | None]:
        key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if not key_id or not secret:
            raise UsageProblem(
                f"{self.url}: no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        return key_id, secret, os.environ.get("AWS_SESSION_TOKEN")

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        key_id, secret, token = self._credentials
        endpoint = _endpoint()
        style = {"addressing_style": "path" if endpoint else "auto"}
        return boto3.session.Session().client(
            "s3",
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            region_name=_region(),
            endpoint_url=endpoint,
            config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3}, s3=style),
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what is wrong with a bucket in words."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NO_BUCKET:
                told = f"there is no bucket {self.name}. Make it, or give another --store"
            elif code in _DENIED:
                told = f"access is denied ({code}). Check AWS_ACCESS_KEY_ID and the bucket's policy"
            else:
                told = f"the server refuses: {code}"
            raise UsageProblem(f"{self.url}: {told}.") from None
        except (BotoCoreError, ValueError) as error:
            where = _endpoint() or "Amazon S3"
            raise UsageProblem(
                f"{self.url}: {where} cannot be reached ({type(error).__name__})."
                " Check AWS_ENDPOINT_URL and AWS_REGION."
            ) from None


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
