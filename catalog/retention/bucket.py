"""What a bucket keeps beside the objects it lists: versions, delete markers, broken uploads."""

from __future__ import annotations

from collections.abc import Iterator

import urllib3
from minio import Minio
from minio.error import MinioException

from alpr.errors import ConfigurationError, Unavailable
from catalog.config import S3Config
from catalog.lake import Lake
from catalog.retention.verification import Finding
from catalog.store import CONNECT_SECONDS, REQUEST_SECONDS


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
        # The package has no public name for this request.
        uploads = client._list_multipart_uploads(bucket_name=bucket).uploads
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"cannot list what s3://{bucket} hides: {error}") from error
    for upload in uploads:
        if upload.object_name.startswith(f"{prefix}/"):
            yield Finding(
                kind="leftover",
                where=f"s3://{bucket}/{upload.object_name}",
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
