"""Errors, by what the caller must do.

PlatelakeError
├── BadInput            the data is wrong: dead-letter it, tell its sender; never retry
│   └── Refused         policy keeps it out: tell its sender, and keep nothing of it
├── ConfigurationError  a setting, tool or resource is missing or wrong: an operator must act
├── Unavailable         a service does not answer now: wait and try again
├── Fenced              another owner has taken over: stop, touch nothing more
└── Corrupt             stored data fails its own check: stop and investigate

A message names what was required, what came, and what to do.
"""

from __future__ import annotations


class PlatelakeError(Exception):
    """Base of every error this project raises on purpose."""


class BadInput(PlatelakeError):
    """One piece of input is wrong.

    `reason` is a short stable code (lower case, hyphens) for counting;
    `detail` explains this one case and holds no plate text.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both in args, so that it survives pickling
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Refused(BadInput):
    """Nothing is wrong with it, but the platform may not have it.

    It is no sign of a fault, so it does not count towards a job's limit of bad messages.
    """


class ConfigurationError(PlatelakeError):
    """The installation is not set up for what was asked."""


class Unavailable(PlatelakeError):
    """A service did not answer in time; the same call may work later."""


class Fenced(PlatelakeError):
    """Another writer owns this table or lock now."""


class Corrupt(PlatelakeError):
    """Stored bytes do not match their checksum or format."""
