"""The command starter-model, which maintainers use through `make starter`."""

import argparse
from pathlib import Path

from artdetect.cli.options import add_config
from artdetect.cli.parser import Commands


def add(commands: Commands) -> None:
    """Add this command's parser."""
    starter = commands.add(
        "starter-model",
        "run the pipeline and write the starter model that comes with artdetect",
        examples=[("starter-model --config my-art.toml --out my-starter", "")],
    )
    add_config(starter)
    starter.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (default: that of the package, artdetect/starter)"
    )
    starter.set_defaults(command=_starter)


def _starter(arguments: argparse.Namespace) -> int:
    from artdetect import config, starter
    from artdetect.cli.flows import run_pipeline
    from artdetect.model.choice import STARTER_FILE

    loaded = config.load(arguments.config, arguments.set)
    folders = {outcome.stage: outcome.artifact.folder for outcome in run_pipeline(loaded, [])}
    file = arguments.out / STARTER_FILE.name if arguments.out else STARTER_FILE
    tables = [Path(data_set.sources) for data_set in loaded.download.data_sets if data_set.sources]
    record = starter.write(folders, file, [table for table in tables if table.suffix == ".csv"])
    rounding = record["rounding"]
    print(
        f"{file}: {record['bytes']:,} bytes; rounding moves p(AI) by at most {rounding['largest_difference']:.1e} on "
        f"{rounding['pictures']:,} test pictures"
    )
    return 0
