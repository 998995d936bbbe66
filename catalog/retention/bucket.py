"""What a bucket keeps beside the objects it lists: versions, delete markers, broken uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from alpr.errors import ConfigurationError, Unavailable
from catalog.config import S3Config
from catalog.lake import Lake
from catalog.retention.verification import Finding
from catalog.store import CONNECT_SECONDS, REQUEST_SECONDS


@dataclass(frozen=True)
class Upload:
    """An object whose upload in parts was begun (UTC) and neither finished nor given up."""

    uri: str
    upload_id: str
    begun: datetime


def uploads(lake: Lake) -> list[Upload]:
    """Every unfinished upload under the warehouse: one under way, or what a killed one left.

    Raises Unavailable if the store does not answer. In a folder there are none: what a killed
    write leaves there is a file like any other.
    """
    if lake.config.s3 is None:
        return []
    bucket, _, prefix = lake.config.warehouse.removeprefix("s3://").partition("/")
    client = _client(lake.config.s3)
    found: list[Upload] = []
    key_marker = upload_marker = None
    try:
        while True:
            # The package has no public name for this request. MinIO answers for a whole bucket or
            # for one object, and finds nothing for a folder.
            page = client._list_multipart_uploads(
                bucket_name=bucket, key_marker=key_marker, upload_id_marker=upload_marker
            )
            for each in page.uploads:
                if each.object_name.startswith(f"{prefix}/"):
                    if each.upload_id is None or each.initiated_time is None:
                        raise Unavailable(f"s3://{bucket} lists an upload without id or time")
                    uri = f"s3://{bucket}/{each.object_name}"
                    found.append(Upload(uri, each.upload_id, each.initiated_time))
            if not page.is_truncated:
                return found
            key_marker, upload_marker = page.next_key_marker, page.next_upload_id_marker
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"cannot list the uploads of s3://{bucket}: {error}") from error


def give_up(lake: Lake, unfinished: Iterable[Upload]) -> None:
    """Delete the parts of unfinished uploads. Raises Unavailable if the store does not answer."""
    if lake.config.s3 is None:
        return
    client = _client(lake.config.s3)
    for each in unfinished:
        bucket, _, key = each.uri.removeprefix("s3://").partition("/")
        try:
            client._abort_multipart_upload(
                bucket_name=bucket, object_name=key, upload_id=each.upload_id
            )
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            if not isinstance(error, S3Error) or error.code != "NoSuchUpload":  # it has ended
                raise Unavailable(f"cannot give up the upload of {each.uri}: {error}") from error


def hidden(lake: Lake) -> Iterator[Finding]:
    """Everything under the warehouse that the plain listing of an S3 store does not show.

    Raises Unavailable if the store does not answer. A folder hides nothing.
    """
    try:
        lake.store.check(lake.config.warehouse)
    except ConfigurationError as error:
        yield Finding(kind="versions", where=lake.config.warehouse, what=str(error))
    if lake.config.s3 is None:
        return
    bucket, _, prefix = lake.config.warehouse.removeprefix("s3://").partition("/")
    client = _client(lake.config.s3)
    try:
        for item in client.list_objects(
            bucket_name=bucket, prefix=f"{prefix}/", recursive=True, include_version=True
        ):
            if item.is_delete_marker or item.version_id not in (None, "null"):
                yield Finding(
                    kind="versions",
                    where=f"s3://{bucket}/{item.object_name}",
                    what="a delete marker" if item.is_delete_marker else "a kept version",
                )
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"cannot list what s3://{bucket} hides: {error}") from error
    for upload in uploads(lake):
        yield Finding(
            kind="leftover",
            where=upload.uri,
            what="an upload that was begun and neither finished nor given up",
        )


def _client(config: S3Config) -> Minio:
    return Minio(
        endpoint=config.host,
        access_key=config.access_key,
        secret_key=config.secret_key,
        secure=config.secure,
        region=config.region,
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=REQUEST_SECONDS),
            retries=urllib3.Retry(total=2, backoff_factor=0.2),
        ),
    )
