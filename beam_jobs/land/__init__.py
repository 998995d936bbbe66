"""Job `land`: reads and hits into the Iceberg lake, each exactly once."""
