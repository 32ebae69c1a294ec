"""The commands for what is on disk: gc, pin."""

import argparse
import json

from artdetect.cli.options import Commands
from artdetect.core.errors import ConfigError


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    gc = commands.add_parser(
        "gc", help="remove artifacts that neither a champion, nor a pin, nor a recent run needs, and what the dead left"
    )
    gc.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")
    gc.add_argument("--keep-last", type=int, default=10, metavar="N", help="runs that keep what they used (10)")
    gc.add_argument("--keep-days", type=float, default=30, metavar="D", help="days whose runs do so as well (30)")
    gc.add_argument("--cache", action="store_true", help="also the caches of data/cache: all is computed again")
    gc.add_argument("--prefect", action="store_true", help="also flow runs older than D days from Prefect's server")
    gc.add_argument("--json", action="store_true")
    gc.set_defaults(command=_gc)

    pin = commands.add_parser("pin", help="keep an artifact, and all that it came from, until the pin is removed")
    pin.add_argument("key", metavar="KEY", help="of any stage; its first 4 characters do. A report's keeps a whole run")
    pin.add_argument("--remove", action="store_true", help="take the pin off")
    pin.add_argument("--why", help="shown where it is kept")
    pin.set_defaults(command=_pin)


def _gc(chosen: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from artdetect.housekeeping import HousekeepingConfig, render
    from artdetect.housekeeping.garbage_collection import collect

    try:
        config = HousekeepingConfig(
            dry_run=chosen.dry_run,
            keep_last=chosen.keep_last,
            keep_days=chosen.keep_days,
            prune_prefect=chosen.prefect,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{name} {first['input']}: {first['msg']}") from None
    found = collect(config, chosen.cache)
    pruned = None
    if config.prune_prefect:
        from artdetect.cli.flows import prune_prefect

        pruned = prune_prefect(config.keep_days, config.dry_run)
    if chosen.json:
        print(json.dumps(found.as_dict() | ({} if pruned is None else {"prefect": pruned}), indent=1))
        return 0
    print(render.table(found))
    if pruned is not None:
        print("", render.pruned_runs(pruned, config.dry_run), sep="\n")
    return 0


def _pin(chosen: argparse.Namespace) -> int:
    from artdetect.housekeeping import pins

    if chosen.remove:
        gone = pins.unpin(chosen.key)
        print(f"{gone.stage}/{gone.key} is no longer pinned")
        return 0
    made = pins.pin(chosen.key, chosen.why)
    print(f"{made.stage}/{made.key} is pinned: it stays, and all that it came from")
    return 0
