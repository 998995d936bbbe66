"""Behaviour suites that run alike on embedded and on real services."""
