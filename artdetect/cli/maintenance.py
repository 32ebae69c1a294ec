"""The commands for stored artifacts: gc, pin, unpin."""

import argparse
import json

from artdetect.cli import terminal
from artdetect.cli.options import KEY_HELP
from artdetect.cli.parser import Commands
from artdetect.core.errors import ConfigError


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    gc = commands.add(
        "gc",
        "delete artifacts that no champion, pin or recent run needs, and leftovers of crashed processes",
        examples=[("gc --dry-run", "what would go, and why the rest stays"), ("gc --keep-last 3 --keep-days 7", "")],
    )
    gc.add_argument("--dry-run", action="store_true", help="list what would be deleted, and delete nothing")
    gc.add_argument(
        "--keep-last", type=int, default=10, metavar="N", help="keep artifacts of the last N runs (default: 10)"
    )
    gc.add_argument(
        "--keep-days", type=float, default=30, metavar="D", help="and of the runs of the last D days (default: 30)"
    )
    gc.add_argument(
        "--keep-champions",
        type=int,
        default=10,
        metavar="N",
        help="and the last N champions, beside the first one (default: 10)",
    )
    gc.add_argument("--cache", action="store_true", help="also delete the caches in data/cache, which are recomputed")
    gc.add_argument(
        "--prune-prefect", action="store_true", help="also delete flow runs older than D days from Prefect's server"
    )
    gc.add_argument("--json", action="store_true", help="print JSON")
    gc.set_defaults(command=_gc)

    pin = commands.add(
        "pin",
        "protect an artifact, and everything it was made from, from gc",
        examples=[("pin 5a149e7f --reason 'shown at the museum'", "")],
    )
    pin.add_argument("key", metavar="KEY", help=f"artifact key; {KEY_HELP}. Pinning a report keeps its whole run")
    pin.add_argument("--reason", metavar="TEXT", help="shown by gc")
    pin.set_defaults(command=_pin)

    unpin = commands.add("unpin", "remove a pin", examples=[("unpin 5a149e7f", "")])
    unpin.add_argument("key", metavar="KEY", help=f"key of a pinned artifact; {KEY_HELP}")
    unpin.set_defaults(command=_unpin)


def _gc(arguments: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from artdetect.housekeeping import HousekeepingConfig, render
    from artdetect.housekeeping.garbage_collection import collect

    try:
        config = HousekeepingConfig(
            dry_run=arguments.dry_run,
            keep_last=arguments.keep_last,
            keep_days=arguments.keep_days,
            keep_champions=arguments.keep_champions,
            prune_prefect=arguments.prune_prefect,
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{option} {first['input']}: {first['msg']}") from None
    with terminal.activity("looking for artifacts that nothing needs"):
        report = collect(config, arguments.cache)
    pruned = None
    if config.prune_prefect:
        from artdetect.cli.flows import prune_prefect

        pruned = prune_prefect(config.keep_days, config.dry_run)
    if arguments.json:
        print(json.dumps(report.as_dict() | ({} if pruned is None else {"prefect": pruned}), indent=1))
        return 0
    print(render.table(report))
    if pruned is not None:
        print("", render.pruned_runs(pruned, config.dry_run), sep="\n")
    return 0


def _pin(arguments: argparse.Namespace) -> int:
    from artdetect.housekeeping import pins

    pin = pins.pin(arguments.key, arguments.reason)
    print(f"{pin.stage}/{pin.key} is pinned: gc keeps it and everything it was made from")
    return 0


def _unpin(arguments: argparse.Namespace) -> int:
    from artdetect.housekeeping import pins

    pin = pins.unpin(arguments.key)
    print(f"{pin.stage}/{pin.key} is no longer pinned")
    return 0
