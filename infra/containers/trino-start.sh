#!/bin/sh
# Trino's configuration takes its secrets from the environment; here they are files, named by
# NAME_FILE.
for name in TRINO_SHARED_SECRET LAKE_CATALOG_PASSWORD LAKE_S3_ACCESS_KEY LAKE_S3_SECRET_KEY; do
  eval "file=\${${name}_FILE:?the file of $name must be named}"
  value=$(cat "$file") || exit 1
  export "$name=$value"
done
exec /usr/lib/trino/bin/run-trino "$@"
