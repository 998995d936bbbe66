"""Simulated cameras: a made-up world, drawn into frames, with the truth beside.

world (who watches, who drives) → plan (which pictures, and the truth) → draw → cameras (frames).
reads.py makes reads directly, for load tests.
"""
