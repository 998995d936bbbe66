"""Kafka, Flink, MinIO and PostgreSQL as local processes; `stack.py` puts them together."""
