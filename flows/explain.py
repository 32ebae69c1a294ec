"""Explanations for any folder of pictures: figures, arrays and one table; killed, the next run goes on with it.

    python -m flows.explain FOLDER

Pictures that were explained before, by the same model and settings, are left alone.
"""

import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artdetect import paths, predict
from artdetect.errors import DataError
from artdetect.explain import ExplainConfig
from artdetect.explain import quality as checks
from artdetect.explain.folder import TABLE, chunks
from tasks.explain import batch, explain_chunk

CHUNK = 256  # pictures a task
SHOWN = 20  # errors on the dashboard; all stand in the table


@flow(name="explain", flow_run_name="explain {folder}", persist_result=False)
def explain(
    folder: Path, out: Path | None = None, model: Path | None = None, config: ExplainConfig = ExplainConfig()
) -> dict[str, Any]:
    """Explain the verdicts on the pictures in `folder`; give what was done, in numbers, and where it is.

    `out` is where figures and table go, artifacts/explanations/<folder>-<model> if left out; `model` is an artifact
    folder or a model file, the newest if left out.
    """
    log = get_run_logger()
    model = model or predict.newest_model()
    batch.cache_clear()
    out = out or paths.artifacts() / "explanations" / f"{folder.resolve().name}-{model.resolve().name}"
    work = batch(model, config, out)
    before = len(work.rows())
    waiting = list(work.waiting([folder]))
    if not waiting and not before:
        raise DataError(f"{folder}: found no pictures")
    log.info("explain: %d pictures to explain, %d explained before", len(waiting), before)

    errors: list[str] = []
    for number, chunk in enumerate(chunks(waiting, CHUNK)):
        errors += explain_chunk(model, config, out, chunk, number * CHUNK, len(waiting))
    quality = work.finish()

    done = {"explained": len(waiting) - len(errors), "before": before, "errors": len(errors), "out": str(out)}
    create_markdown_artifact(_said(done, errors, quality), key="explanations", description=f"Of {folder}")
    log.info("explain: %(explained)d explained, %(before)d before, %(errors)d unreadable; in %(out)s", done)
    return done


def _said(done: dict[str, Any], errors: list[str], quality: dict[str, Any] | None) -> str:
    lines = [
        f"{done['explained']:,} pictures explained, {done['before']:,} before, {done['errors']:,} could not be read.",
        "",
        f"Figures, arrays and the table `{TABLE}` are in `{done['out']}`.",
    ]
    if quality:
        lines += ["", *checks.markdown(quality)]
    lines += ["", *(f"- `{error.replace('`', chr(39))}`" for error in errors[:SHOWN])]
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m flows.explain FOLDER")
    explain(Path(sys.argv[1]))
