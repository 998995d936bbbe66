"""A certificate as a page that people can read and print. HTML without anything from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final

from catalog.retention.certificate import Certificate, Signed

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;color:#111;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%;font-size:.85rem}
th,td{text-align:left;vertical-align:top;border-bottom:1px solid #ccc;padding:.3rem .5rem}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:.75rem;overflow-wrap:anywhere}.ok{color:#0a5}.bad{color:#b00;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}dd{margin:0}
@media print{body{margin:0;max-width:none;font-size:11px}h2{break-after:avoid}}
@media print{tr{break-inside:avoid}}
"""


def page(signed: Signed) -> str:
    """The whole page. Signature and chain are shown, not checked: see `catalog.retention.audit`."""
    content = signed.content
    title = "Purge certificate" if content.kind == "purge" else "Attestation of a purge"
    parts = [
        f"<h1>{title} no. {content.number}</h1><p>{_summary(content)}</p>",
        _facts(content),
        _days(content),
        _list("Held: left in place until copied to evidence", _holds(content)),
        _list("Records of holds that could not be copied", content.unfinished),
        _list("Stored classes without a policy: nothing of them went", content.unknown_classes),
        _list("Deleted, and found there nevertheless", content.remaining),
        _verification(content),
        _signature(signed),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} '
        f"{escape(content.run_id)}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _summary(content: Certificate) -> str:
    if content.kind == "attestation":
        return f"About the purge {escape(content.run_id)}."
    rows = sum(day.rows for day in content.days)
    size = sum(day.bytes + day.pack_bytes for day in content.days)
    return (
        f"{rows:,} records of {len(content.days)} days and classes, {size:,} bytes, were deleted "
        f"because their retention had ended by {_time(content.judged_at)}."
    )


def _facts(content: Certificate) -> str:
    return _pairs(
        [
            ("Run", content.run_id),
            ("Installation", content.installation),
            ("Begun", _time(content.started_at)),
            ("Finished", _time(content.finished_at)),
            ("Issued", _time(content.issued_at)),
            ("Software", content.software),
            *((f"Besides: {name}", f"{count:,}") for name, count in content.others.items()),
        ]
    )


def _days(content: Certificate) -> str:
    if not content.days:
        return ""
    head = (
        "<th>Day<th>Class<th>Table<th class=n>Records<th class=n>Files<th class=n>Packs"
        "<th class=n>Bytes<th>Ended<th>Rule"
    )
    rows = "".join(
        f"<tr><td>{day.day}<td>{escape(day.retention_class)}<td>{escape(day.table)}"
        f"<td class=n>{day.rows:,}<td class=n>{day.files:,}<td class=n>{day.packs:,}"
        f"<td class=n>{day.bytes + day.pack_bytes:,}<td>{_time(day.ended_at)}"
        f"<td>{escape(day.policy)}, {escape(day.clause)}: {escape(day.kept_for)} "
        f"({escape(day.why)})<br><code>{day.digest}</code>"
        for day in content.days
    )
    return f"<h2>What was deleted, and by which rule</h2><table><tr>{head}</tr>{rows}</table>"


def _holds(content: Certificate) -> list[str]:
    return [f"{hold.hold_id}: {', '.join(hold.partitions)}" for hold in content.holds]


def _verification(content: Certificate) -> str:
    check = content.verification
    if check is None:
        return '<h2>Verification</h2><p class="bad">None was made.</p>'
    counts = [
        ("Looked at", ", ".join(check.scope)),
        ("Decoded", f"{check.rows:,} rows, {check.images:,} images, {check.decoded_bytes:,} bytes"),
        ("Held", f"{check.held:,}"),
        ("Sample", "none: everything" if check.full else f"seed {check.seed}"),
    ]
    findings = [f"{each.kind} {each.where}: {each.what} ({each.count})" for each in check.findings]
    return (
        f'<h2>Verification</h2><p class="{"ok" if check.ok else "bad"}">{escape(check.statement)}'
        f"</p>{_pairs(counts)}{_list('Found', findings)}"
        f"{_list('What this verification cannot see', check.limits)}"
    )


def _signature(signed: Signed) -> str:
    content = signed.content
    facts = [
        ("Digest of this certificate", signed.digest),
        ("Digest of the one before", content.previous),
        ("Public key (SHA-256)", content.key),
        ("Ed25519 signature", signed.signature),
    ]
    told = "".join(f"<dt>{escape(k)}<dd><code>{escape(v)}</code>" for k, v in facts)
    return (
        f"<h2>Signature</h2><dl>{told}</dl><p>This page proves nothing by itself: "
        "<code>platelake retain certificate check</code> checks signature and chain.</p>"
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(k)}<dd>{escape(v)}' for k, v in pairs)}</dl>"


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    return f"<h2>{escape(title)}</h2><ul>{''.join(f'<li>{escape(each)}' for each in items)}</ul>"


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
