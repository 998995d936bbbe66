"""Kafka in and out of Beam, shared by all jobs."""
