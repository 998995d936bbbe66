#!/bin/sh
# What `--environment_config={"command":"/opt/platelake/bin/worker-boot"}` names: Flink runs
# this for each Python worker.
export PLATELAKE_WORKER_PARENT=$PPID
exec /opt/platelake/bin/python -m beam_jobs.worker_boot --log-dir="${PLATELAKE_WORKER_LOGS:-/tmp/worker-logs}" "$@"
