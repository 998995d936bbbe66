"""The jobs on the embedded Flink."""
