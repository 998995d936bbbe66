"""`platelake agency list | set | policies`: which agency follows which policy, and what it says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.acting import By, Reason, print_json, utc_now, who
from cli.options import Config, Home, Json, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alpr.policy import HoldRule, Policy
    from alpr.retention import Period, RetentionClass
    from catalog.policies import Policies


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("list")(list_)
    app.command("set")(set_)
    app.command()(policies)


def list_(
    config: Config = None, profile: Profile = None, home: Home = None, as_json: Json = False
) -> None:
    """Which policy each agency follows, what its administrator directed, and every change of it.

    Agencies that are not named follow the default.

    Example: platelake agency list --json
    """
    from catalog.policies import load_policies

    file = _retention_file(config, profile, home)
    chosen = load_policies(file)
    if as_json:
        print_json(_chosen(chosen, file))
        return
    choices, retention = chosen.choices, chosen.retention
    for agency in sorted({*choices.agencies, *retention.directed}):
        typer.echo(f"{agency}: {_told(_own(chosen, agency))}")
    typer.echo(f"every other agency: {_told(chosen.known[choices.default].classes)}")
    for change in choices.changed:
        typer.echo(
            f"{change.at:%Y-%m-%d %H:%M} UTC {change.by} put {change.agency} under "
            f"{change.policy} (before: {change.before or 'the default'}): {change.reason}"
        )


def set_(
    agency: Annotated[str, typer.Argument(metavar="AGENCY")],
    policy: Annotated[str, typer.Option("--policy", help="As `agency policies` lists them.")],
    reason: Reason,
    by: By = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put an agency under a policy; the change stays in the retention file, with who and why.

    Jobs read the file when they start, and rows that are stored stay in their class until they
    are moved: what must be run afterwards is told.

    Example: platelake agency set northfield-pd --policy billerica --reason "council, 3 November"
    """
    from catalog.policies import load_policies, set_policy

    file = _retention_file(config, profile, home)
    before = load_policies(file)
    if before.choices.agencies.get(agency) == policy:
        if as_json:
            print_json({"agency": agency, "policy": policy, "changed": False, "to_do": []})
        else:
            typer.echo(f"{agency} follows {policy} already: nothing was changed")
        return
    before, after = set_policy(
        file, agency, policy, by=who(by), reason=reason, at=utc_now().replace(microsecond=0)
    )
    changes = _changes(_own(before, agency), _own(after, agency))
    to_do = _to_do(agency) if changes else []
    if as_json:
        print_json(
            {
                "agency": agency,
                "policy": policy,
                "before": before.policy_of(agency).name,
                "changed": True,
                "classes": changes,
                "to_do": to_do,
                "file": str(file),
            }
        )
        return
    typer.echo(f"{agency}: {_told(_own(after, agency))}")
    for change in changes:
        typer.echo(
            f"  {change['records']} of class {change['from']} ({change['keep_before']}) belong to "
            f"{change['to']} now ({change['keep']}): {change['period']}"
        )
    if to_do:
        typer.echo("what is stored stays in its class until you run, in this order:")
        for command in to_do:
            typer.echo(f"  {command}")


def policies(
    name: Annotated[str | None, typer.Argument(metavar="POLICY", help="All without it.")] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What each policy says about retention, clause by clause.

    Example: platelake agency policies dcjis
    """
    from alpr.errors import ConfigurationError
    from catalog.policies import load_policies

    known = load_policies(_retention_file(config, profile, home)).known
    if name is not None and name not in known:
        raise ConfigurationError(
            f"no policy {name!r} is known; there are {', '.join(sorted(known))}"
        )
    wanted = [known[name]] if name is not None else [known[each] for each in sorted(known)]
    if as_json:
        print_json([policy_as_json(policy) for policy in wanted])
        return
    for policy in wanted:
        typer.echo(f"{policy.name}: {policy.title} (days end at midnight in {policy.zone})")
        for each in policy.classes:
            typer.echo(f"  class {each.name}, {_records(each)}")
            typer.echo(
                f"    kept {each.keep} ({each.clause}); at least "
                f"{_bound(each.minimum)} ({each.minimum_clause}); at most "
                f"{_bound(each.maximum)} ({each.maximum_clause})"
            )
            typer.echo(f"    {each.why}")
        for rule in policy.holds:
            typer.echo(f"  hold {rule.kind} ({rule.clause}), {_end(rule)}: {rule.why}")
        if name is not None:
            for key, document in policy.documents.items():
                typer.echo(f"  {key}: {document}")


def policy_as_json(policy: Policy) -> dict[str, Any]:
    """A policy as plain values."""
    return {
        "name": policy.name,
        "title": policy.title,
        "zone": policy.zone,
        "documents": dict(policy.documents),
        "classes": [class_as_json(each) for each in policy.classes],
        "holds": [
            {
                "kind": rule.kind,
                "ends": rule.ends,
                "lasts": rule.lasts and str(rule.lasts),
                "clause": rule.clause,
                "why": rule.why,
            }
            for rule in policy.holds
        ],
    }


def class_as_json(each: RetentionClass) -> dict[str, Any]:
    """A class as plain values; a bound that its policy does not state is null."""
    return {
        "name": each.name,
        "policy": each.policy,
        "records": sorted(each.records),
        "sources": list(each.sources) or ["*"],
        "zone": each.zone,
        "keep": str(each.keep),
        "keep_clause": each.clause,
        "minimum": each.minimum and str(each.minimum),
        "minimum_clause": each.minimum_clause,
        "maximum": each.maximum and str(each.maximum),
        "maximum_clause": each.maximum_clause,
        "why": each.why,
    }


def _retention_file(config: Path | None, profile: str | None, home: Path | None) -> Path:
    from alpr.errors import ConfigurationError
    from catalog.config import LakeConfig

    if config is None:
        from cli.installation import Installation

        config = Installation.of(profile, home).lake_config_file
    file = LakeConfig.load(config).retention_file
    if file is None:
        raise ConfigurationError(
            f"{config} names no retention_file, so every agency follows the neutral policy: write "
            "one (docs/retention.md) and name it there"
        )
    return file


def _own(chosen: Policies, agency: str) -> Sequence[RetentionClass]:
    """The classes an agency's records can get, in the order in which they are tried."""
    return (*chosen.retention.directed.get(agency, ()), *chosen.policy_of(agency).classes)


def _changes(
    before: Sequence[RetentionClass], after: Sequence[RetentionClass]
) -> list[dict[str, str]]:
    """Which stored records belong into another class now."""
    return [
        {
            "records": " and ".join(f"{kind}s" for kind in sorted(old.records & new.records)),
            "from": old.name,
            "to": new.name,
            "keep_before": str(old.keep),
            "keep": str(new.keep),
            "period": _compared(old.keep, new.keep),
        }
        for old in before
        for new in after
        if old.name != new.name and old.records & new.records and _may_share(old, new)
    ]


def _may_share(one: RetentionClass, other: RetentionClass) -> bool:
    from alpr.policy import patterns_meet

    if not one.sources or not other.sources:
        return True
    return any(patterns_meet(a, b) for a in one.sources for b in other.sources)


def _compared(old: Period, new: Period) -> str:
    if old.covers(new):
        return "the same" if new.covers(old) else "shorter"
    return "longer" if new.covers(old) else "shorter or longer, as the months fall"


def _to_do(agency: str) -> list[str]:
    return [
        "platelake job stop land && platelake job start land",
        f'platelake retain move --agency {agency} --reason "…"',
        "platelake retain run",
    ]


def _chosen(chosen: Policies, file: Path) -> dict[str, Any]:
    choices = chosen.choices
    return {
        "file": str(file),
        "default": choices.default,
        "agencies": {
            agency: {
                "policy": chosen.policy_of(agency).name,
                "classes": [class_as_json(each) for each in _own(chosen, agency)],
            }
            for agency in sorted({*choices.agencies, *chosen.retention.directed})
        },
        "changed": [
            {
                "agency": change.agency,
                "policy": change.policy,
                "before": change.before,
                "reason": change.reason,
                "by": change.by,
                "at": _time(change.at),
            }
            for change in choices.changed
        ],
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _told(classes: Sequence[RetentionClass]) -> str:
    return f"{classes[-1].policy}, " + "; ".join(
        f"{_records(each)} {each.keep} ({each.clause})" for each in classes
    )


def _records(each: RetentionClass) -> str:
    kinds = " and ".join(f"{kind}s" for kind in sorted(each.records))
    return kinds + (f" of source {', '.join(each.sources)}" if each.sources else "")


def _bound(period: Period | None) -> str:
    return "none stated" if period is None else str(period)


def _end(rule: HoldRule) -> str:
    lasts = "" if rule.lasts is None else f", {rule.lasts} at a time"
    return f"ends: {rule.ends}{lasts}"
