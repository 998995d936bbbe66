"""Retention policies as files, one a policy: see `alpr.policy` and docs/retention.md."""
