"""The published JSON Schema of each topic, made by `python -m ingest.schema --write`."""
