"""A garbage collection in words, for terminals and for the dashboard."""

from datetime import UTC, datetime

from artdetect.formatting import markdown
from artdetect.formatting.text import columns, printable
from artdetect.housekeeping.garbage_collection import GcReport

NEVER_REMOVED = ("artifacts/explanations", "artifacts/tune")
CACHES_COST = (
    "Without its caches, the next run reads and decodes every picture and computes its features again: "
    "it takes as long as a first run."
)


def table(report: GcReport) -> str:
    """The whole report as text, one line per artifact."""
    verb = {"kept": "kept", "removed": "would be removed" if report.dry_run else "removed"}
    lines = [[row.stage, row.key, size(row.bytes), age(row.at), f"{verb[row.fate]}: {row.why}"] for row in report.rows]
    text = columns([["stage", "key", "size", "age", "result"], *lines]) if lines else "no artifacts"
    for path, taken in report.leftovers.items():
        text += f"\n{verb['removed']}, left by a dead process: {printable(path)}, {size(taken)}"
    for path, taken in report.caches.items():
        text += f"\n{verb['removed']}, a cache: {path}, {size(taken)}"
    remaining = columns([[path, size(taken)] for path, taken in report.sizes.items()])
    return "\n".join([text, "", *totals(report), "", remaining])


def totals(report: GcReport) -> list[str]:
    """The totals, one sentence per line."""
    remaining, removed = report.total("kept"), report.total("removed")
    would = "would be " if report.dry_run else ""
    lines = [
        f"{remaining[0]:,} artifacts kept, {size(remaining[1])}; {removed[0]:,} {would}removed, {size(removed[1])}."
    ]
    if report.recovered:
        lines.append(f"{_recovered(report)}: {', '.join(report.recovered)}.")
    if report.leftovers or report.locks:
        lines.append(
            f"Left by dead processes, {would}removed: {len(report.leftovers):,} files and folders, "
            f"{size(sum(report.leftovers.values()))}; {report.locks:,} lock files."
        )
    if report.ledger_files:
        lines.append(f"Old runs {would}removed from the ledger: {report.ledger_files:,}, {size(report.ledger_bytes)}.")
    if report.caches:
        lines.append(f"Caches {would}removed, {size(sum(report.caches.values()))}. {CACHES_COST}")
    if outputs := [path for path in NEVER_REMOVED if path in report.sizes]:
        lines.append(f"Never removed here: {' and '.join(outputs)}. Delete by hand what you no longer need.")
    return lines


def _recovered(report: GcReport) -> str:
    return f"Moved aside by a process that was killed, {'would be ' if report.dry_run else ''}put back"


def page(report: GcReport) -> str:
    """The totals and sizes as Markdown, with a table of what was removed."""
    sizes = markdown.table(["folder", "size"], [[path, size(taken)] for path, taken in report.sizes.items()])
    parts = [*totals(report), "", sizes]
    removed = [
        [f"{row.stage}/{row.key}", size(row.bytes), age(row.at), markdown.escape(row.why)]
        for row in report.rows
        if row.fate == "removed"
    ]
    if removed:
        verb = "would be removed" if report.dry_run else "removed"
        parts += ["", markdown.table([verb, "size", "age", "why"], removed)]
    return "\n".join(parts)


def pruned_runs(pruned: dict[str, int | None], dry_run: bool) -> str:
    """One sentence on what `flows.housekeeping.prune` did."""
    database = "" if (count := pruned["database_bytes"]) is None else f" Its database takes {size(count)}."
    return f"{pruned['flow_runs']:,} flow runs {'would be ' if dry_run else ''}deleted from Prefect's server.{database}"


def size(count: int) -> str:
    """Bytes for people: 1.5 MB is 1,500,000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def age(at: datetime) -> str:
    """How long ago this was, for people."""
    minutes = max(0, int((datetime.now(UTC) - at).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
