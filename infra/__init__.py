"""The local stack as plain processes, its provisioning, and what a cluster needs.

settings.py      every setting; versions.toml every version
provision/       tools, jars and binaries into a cache, safely repeatable
process.py       one process under care: start, health, stop, kill
services/        Kafka, Flink, MinIO, PostgreSQL; stack.py starts them in order
flink_rest.py    what Flink says about its jobs and checkpoints
leftovers.py     deletes what stopped jobs and crashed processes left, and old logs
watchdog.py      brings dead jobs back from their newest checkpoint
containers/  kubernetes/  compose.yaml   the same stack elsewhere; check_manifests.py checks them
"""
