"""Bytes by address: one small port over a local folder and an S3 bucket.

Addresses are whole URIs (file:///… or s3://bucket/…), as Iceberg's metadata has them.
Tables are read and written through pyarrow's file systems; listing, deleting and bucket
checks go through an S3 client, which can do them in bulk.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from alpr.errors import ConfigurationError, Corrupt, Unavailable
from catalog.config import S3Config

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0

_CONNECTIONS = 16
"""Kept open to the store: as many as ask at once."""


@dataclass(frozen=True)
class StoredObject:
    """One object in the store: its address, size in bytes, and when it was last written (UTC)."""

    uri: str
    size: int
    modified: datetime


class Store(Protocol):
    """What the lake needs of a store. Every method raises Unavailable if it does not answer."""

    def read(self, uri: str, offset: int = 0, length: int | None = None) -> bytes:
        """`length` bytes from `offset`, or all; Corrupt if there is no such object or range."""
        ...

    def open(self, uri: str) -> pa.NativeFile:
        """A random-access file; Corrupt if there is no such object."""
        ...

    def exists(self, uri: str) -> bool:
        """Whether there is such an object."""
        ...

    def write(self, uri: str, data: bytes | pa.Buffer) -> None:
        """Store an object: readers see all of it or nothing."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object under the folder `prefix`."""
        ...

    def folders(self, prefix: str) -> Sequence[str]:
        """The names of the folders right under the folder `prefix`, sorted; none if it is not."""
        ...

    def delete(self, uris: Iterable[str]) -> int:
        """Delete objects; those already gone count as done. Returns how many were asked for."""
        ...

    def prepare(self, warehouse: str) -> None:
        """Make the folder or bucket of `warehouse` if it is not there."""
        ...

    def check(self, warehouse: str) -> None:
        """Raise ConfigurationError or Unavailable with what to do if it cannot be used."""
        ...


def open_store(config: S3Config | None) -> Store:
    """The store a configuration names: a bucket if it has an S3 section, else a local folder."""
    return LocalStore() if config is None else S3Store(config)


class LocalStore:
    """A folder of this machine."""

    def __init__(self) -> None:
        self._files = pafs.LocalFileSystem()

    def read(self, uri: str, offset: int = 0, length: int | None = None) -> bytes:
        """See Store."""
        with self.open(uri) as file:
            return _read(file, uri, offset, length)

    def open(self, uri: str) -> pa.NativeFile:
        """See Store."""
        try:
            return self._files.open_input_file(str(_local(uri)))
        except FileNotFoundError as error:
            raise Corrupt(f"{uri} is referenced but not stored") from error

    def exists(self, uri: str) -> bool:
        """See Store."""
        return _local(uri).is_file()

    def write(self, uri: str, data: bytes | pa.Buffer) -> None:
        """See Store."""
        path = _local(uri)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
            except FileNotFoundError:  # `delete` took the folder, which was empty, in between
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise Unavailable(f"cannot write {uri}: {error.strerror}; is the disk full?") from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Store."""
        for folder, _, names in os.walk(_local(prefix)):
            for name in names:
                path = Path(folder, name)
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # deleted since the folder was read
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield StoredObject(f"file://{path}", status.st_size, modified)

    def folders(self, prefix: str) -> Sequence[str]:
        """See Store."""
        try:
            return sorted(entry.name for entry in os.scandir(_local(prefix)) if entry.is_dir())
        except FileNotFoundError:
            return []

    def delete(self, uris: Iterable[str]) -> int:
        """See Store; a folder that gets empty goes too."""
        count = 0
        folders = set()
        for uri in uris:
            path = _local(uri)
            path.unlink(missing_ok=True)
            folders.add(path.parent)
            count += 1
        for folder in folders:
            with suppress(OSError):  # not empty, or gone already
                folder.rmdir()
                folder.parent.rmdir()
        return count

    def prepare(self, warehouse: str) -> None:
        """See Store."""
        try:
            _local(warehouse).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot make the warehouse folder {warehouse}: {error.strerror}"
            ) from error

    def check(self, warehouse: str) -> None:
        """See Store."""
        path = _local(warehouse)
        if not path.is_dir():
            raise ConfigurationError(f"no warehouse folder {path}: run `platelake lake init`")
        if not os.access(path, os.W_OK):
            raise ConfigurationError(f"the warehouse folder {path} is not writable")
        if shutil.disk_usage(path).free < 100_000_000:
            raise Unavailable(f"less than 100 MB is free on the disk of {path}: make room")


class S3Store:
    """A bucket of an S3-compatible store (MinIO)."""

    def __init__(self, config: S3Config) -> None:
        self._config = config
        self._files = pafs.S3FileSystem(
            endpoint_override=config.host,
            scheme="https" if config.secure else "http",
            access_key=config.access_key,
            secret_key=config.secret_key,
            region=config.region,
            force_virtual_addressing=False,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=REQUEST_SECONDS,
            retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=3),
            # Small files go up in one PUT: a killed multipart upload lingers in the store.
            allow_delayed_open=True,
        )
        self._client = Minio(
            endpoint=config.host,
            access_key=config.access_key,
            secret_key=config.secret_key,
            secure=config.secure,
            region=config.region,
            http_client=urllib3.PoolManager(
                maxsize=_CONNECTIONS,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=REQUEST_SECONDS),
                retries=urllib3.Retry(total=2, backoff_factor=0.2),
            ),
        )

    def read(self, uri: str, offset: int = 0, length: int | None = None) -> bytes:
        """See Store. A part is one request: a file is opened by asking for its size first."""
        if length is None:
            with self.open(uri) as file:
                return _read(file, uri, offset, length)
        if length == 0:
            return b""  # to S3 a length of 0 means the rest
        bucket, _, key = _s3(uri).partition("/")
        try:
            answer = self._client.get_object(
                bucket_name=bucket, object_name=key, offset=offset, length=length
            )
            try:
                data: bytes = answer.read()
            finally:
                answer.close()
                answer.release_conn()
        except S3Error as error:
            if error.code in ("NoSuchKey", "InvalidRange"):
                raise Corrupt(f"{uri} is referenced but not stored as far as asked for") from error
            raise Unavailable(f"cannot read {uri}: {error}") from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise Unavailable(f"cannot read {uri}: {error}") from error
        if len(data) != length:
            raise Corrupt(f"{uri} ends before byte {offset + length}: it was cut short")
        return data

    def open(self, uri: str) -> pa.NativeFile:
        """See Store."""
        try:
            return self._files.open_input_file(_s3(uri))
        except FileNotFoundError as error:
            raise Corrupt(f"{uri} is referenced but not stored") from error
        except OSError as error:
            raise Unavailable(f"cannot read {uri}: {error}") from error

    def exists(self, uri: str) -> bool:
        """See Store."""
        try:
            return bool(self._files.get_file_info(_s3(uri)).is_file)
        except OSError as error:
            raise Unavailable(f"cannot look for {uri}: {error}") from error

    def write(self, uri: str, data: bytes | pa.Buffer) -> None:
        """See Store."""
        try:
            with self._files.open_output_stream(_s3(uri), buffer_size=0) as stream:
                stream.write(data)
        except OSError as error:
            raise Unavailable(f"cannot write {uri}: {error}") from error

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Store."""
        bucket, _, key = _s3(prefix).partition("/")
        try:
            for found in self._client.list_objects(
                bucket_name=bucket, prefix=f"{key}/", recursive=True
            ):
                if found.last_modified is None:
                    raise Corrupt(f"the store lists {found.object_name} without a time")
                yield StoredObject(
                    f"s3://{bucket}/{found.object_name}", found.size or 0, found.last_modified
                )
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise Unavailable(f"cannot list {prefix}: {error}") from error

    def folders(self, prefix: str) -> Sequence[str]:
        """See Store."""
        bucket, _, key = _s3(prefix).partition("/")
        try:
            found = self._client.list_objects(bucket_name=bucket, prefix=f"{key}/")
            return sorted(
                item.object_name.rstrip("/").rpartition("/")[2]
                for item in found
                if item.is_dir and item.object_name
            )
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise Unavailable(f"cannot list {prefix}: {error}") from error

    def delete(self, uris: Iterable[str]) -> int:
        """See Store."""
        by_bucket: dict[str, list[str]] = {}
        for uri in uris:
            bucket, _, key = _s3(uri).partition("/")
            by_bucket.setdefault(bucket, []).append(key)
        for bucket, keys in by_bucket.items():
            wanted = (DeleteObject(key) for key in keys)
            try:
                errors = list(
                    self._client.remove_objects(bucket_name=bucket, delete_object_list=wanted)
                )
            except (MinioException, urllib3.exceptions.HTTPError) as error:
                raise Unavailable(f"cannot delete in s3://{bucket}: {error}") from error
            if errors:
                raise Unavailable(
                    f"{len(errors)} of {len(keys)} objects in s3://{bucket} were not deleted, "
                    f"the first for: {errors[0].message}"
                )
        return sum(map(len, by_bucket.values()))

    def prepare(self, warehouse: str) -> None:
        """See Store."""
        bucket = _s3(warehouse).partition("/")[0]
        try:
            if not self._client.bucket_exists(bucket_name=bucket):
                self._client.make_bucket(bucket_name=bucket, location=self._config.region)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # another `init` was faster
                raise self._refused(bucket, error) from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise self._silent(error) from error

    def check(self, warehouse: str) -> None:
        """See Store."""
        bucket = _s3(warehouse).partition("/")[0]
        try:
            exists = self._client.bucket_exists(bucket_name=bucket)
            versioning = (
                self._client.get_bucket_versioning(bucket_name=bucket).status if exists else None
            )
        except S3Error as error:
            raise self._refused(bucket, error) from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise self._silent(error) from error
        if not exists:
            raise ConfigurationError(f"no bucket {bucket!r}: run `platelake lake init`")
        if versioning == "Enabled":
            raise ConfigurationError(
                f"bucket {bucket!r} keeps versions, so a deleted read would stay in it: "
                "use a bucket that never had versioning on"
            )
        if versioning == "Suspended":
            raise ConfigurationError(
                f"bucket {bucket!r} had versioning on once and may still hold old versions: "
                "use a bucket that never had it on"
            )

    def _refused(self, bucket: str, error: S3Error) -> ConfigurationError:
        return ConfigurationError(
            f"the store at {self._config.endpoint} refused bucket {bucket!r} ({error.code}): "
            f"check the keys in {self._config.access_key_file} and {self._config.secret_key_file}"
        )

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"the store at {self._config.endpoint} does not answer "
            f"({type(error).__name__}): is it started? see `platelake status`"
        )


def _read(file: pa.NativeFile, uri: str, offset: int, length: int | None) -> bytes:
    if length is None:
        file.seek(offset)
        return bytes(file.read())
    data = bytes(file.read_at(length, offset))
    if len(data) != length:
        raise Corrupt(f"{uri} ends before byte {offset + length}: it was cut short")
    return data


def _local(uri: str) -> Path:
    if not uri.startswith("file:///"):
        raise ConfigurationError(f"the lake is a local folder, so {uri!r} must start with file:///")
    return Path(uri.removeprefix("file://"))


def _s3(uri: str) -> str:
    if urlsplit(uri).scheme != "s3":
        raise ConfigurationError(f"the lake is a bucket, so {uri!r} must start with s3://")
    return uri.removeprefix("s3://")
