"""Random kills for as long as wanted: `python -m tests.soak`."""
