"""A collection in words, for terminals and for the dashboard."""

from datetime import UTC, datetime

from artdetect.formatting.text import columns, escape_markdown, printable
from artdetect.housekeeping.garbage_collection import GcReport

OUTPUTS = ("artifacts/explanations", "artifacts/tune")
CACHES_COST = (
    "Without its caches the next run reads and decodes every picture again and computes its features anew: "
    "as long as a first run."
)


def table(found: GcReport) -> str:
    """All of it, a line an artifact."""
    verb = {"kept": "kept", "removed": "would go" if found.dry_run else "removed"}
    lines = [
        [row.stage, row.key, size(row.bytes), age(row.at), f"{verb[row.fate]}: {printable(row.why)}"]
        for row in found.rows
    ]
    text = columns([["stage", "key", "size", "age", "what became of it"], *lines]) if lines else "no artifacts"
    for path, taken in found.leftovers.items():
        text += f"\n{verb['removed']}, left by a dead process: {printable(path)}, {size(taken)}"
    for path, taken in found.caches.items():
        text += f"\n{verb['removed']}, a cache: {path}, {size(taken)}"
    return "\n".join([text, "", *totals(found), "", columns([[path, size(b)] for path, b in found.sizes.items()])])


def totals(found: GcReport) -> list[str]:
    """What it came to, a sentence a line."""
    (kept, kept_bytes), (gone, gone_bytes) = found.total("kept"), found.total("removed")
    would = "would be " if found.dry_run else ""
    lines = [f"{kept:,} artifacts kept, {size(kept_bytes)}; {gone:,} {would}removed, {size(gone_bytes)}."]
    if found.leftovers or found.locks:
        lines.append(
            f"Left by dead processes, {would}removed: {len(found.leftovers):,} files and folders, "
            f"{size(sum(found.leftovers.values()))}; {found.locks:,} lock files."
        )
    if found.ledger_files:
        lines.append(f"Old runs {would}removed from the ledger: {found.ledger_files:,}, {size(found.ledger_bytes)}.")
    if found.caches:
        lines.append(f"Caches {would}removed, {size(sum(found.caches.values()))}. {CACHES_COST}")
    if outputs := [path for path in OUTPUTS if path in found.sizes]:
        lines.append(f"Never removed here: {' and '.join(outputs)}. Delete by hand what you no longer need.")
    return lines


def report(found: GcReport) -> str:
    """The totals and sizes as Markdown, with a table of what went."""
    lines = [*totals(found), "", "| what is there | size |", "|---|---|"]
    lines += [f"| {path} | {size(taken)} |" for path, taken in found.sizes.items()]
    if gone := [row for row in found.rows if row.fate == "removed"]:
        lines += ["", f"| {'would go' if found.dry_run else 'removed'} | size | age | why |", "|---|---|---|---|"]
        lines += [
            f"| {row.stage}/{row.key} | {size(row.bytes)} | {age(row.at)} | {escape_markdown(row.why)} |"
            for row in gone
        ]
    return "\n".join(lines)


def pruned_runs(pruned: dict[str, int | None], dry_run: bool) -> str:
    """What `flows.housekeeping.prune` did, in words."""
    text_size = "" if (count := pruned["database_bytes"]) is None else f" Its database takes {size(count)}."
    return (
        f"{pruned['flow_runs']:,} flow runs {'would be ' if dry_run else ''}deleted from Prefect's server.{text_size}"
    )


def size(count: int) -> str:
    """Bytes for people: 1.5 MB is 1,500,000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def age(at: datetime) -> str:
    """How long ago, for people."""
    minutes = max(0, int((datetime.now(UTC) - at).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
