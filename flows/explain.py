"""Explains any folder of pictures: figures, arrays and one table. The next run continues an interrupted one.

Pictures that were explained before with the same model and settings are skipped.
"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artdetect.compute import ComputeConfig, use_compute
from artdetect.core import digests, paths
from artdetect.core.errors import DataError
from artdetect.explain.batch_job import TABLE, ExplanationJob
from artdetect.explain.config import ExplainConfig
from artdetect.explain.render import quality_table
from artdetect.formatting.text import printable
from artdetect.model import choice, predict
from artdetect.model.detector import Detector
from tasks.engine.run_record import HOOKS, recorded
from tasks.engine.summary import name_outcome
from tasks.explain import explained

MAX_ERRORS = 20  # on the dashboard; the table has all of them


@flow(
    name="explain",
    flow_run_name="explain {folder}",
    persist_result=False,
    **HOOKS,
)
def explain(
    folder: Path,
    out: Path | None = None,
    model: Path | None = None,
    config: ExplainConfig = ExplainConfig(),
    compute: ComputeConfig = ComputeConfig(),
) -> dict[str, Any]:
    """Explain the verdicts on the pictures in a folder.

    Args:
        folder: The folder; pictures in its subfolders are explained, too.
        out: The folder for figures, arrays and table, by default artifacts/explanations/<folder>-<model>-<digest>.
        model: An artifact folder or a model file, or starter or demo; by default the one that
            `artdetect explain` takes.
        config: Method, settings and figures.
        compute: Where to compute: in this process, or with engine dask on the workers of a cluster. The result is the
            same.

    Returns:
        How many pictures were explained, had been explained before, and could not be read; and the output folder.
    """
    with recorded() as run:
        done = _explain(folder, out, model, config, compute)
        run.facts["explained"] = done
        name_outcome(run, f"{done['explained']:,} explained")
    return done


def _explain(
    folder: Path, out: Path | None, model: Path | None, config: ExplainConfig, compute: ComputeConfig
) -> dict[str, Any]:
    log = get_run_logger()
    chosen = choice.choose(model)
    if not folder.exists() or next(predict.find_pictures([folder]), None) is None:
        raise DataError(f"{folder}: found no pictures")
    out = out or paths.artifacts() / "explanations" / _name(folder.resolve(), chosen.path.resolve(), config)
    detector = Detector.load(chosen.path)
    for line in choice.introduction(detector, chosen.role, chosen.key):
        log.info("explain: %s", line)
    job = ExplanationJob(detector, config, out)
    pending = list(job.pending([folder]))
    log.info("explain: %d pictures to explain, %d explained before", len(pending), job.unchanged)

    errors: list[str] = []
    with use_compute(compute) as context:
        for finished, rows in explained(job, chosen.path, pending, context):
            errors += [row["error"] for row in rows]
            log.info("explain: %d of %d pictures", finished, len(pending))
    quality = job.finish()

    done = {
        "explained": len(pending) - len(errors),
        "before": job.unchanged,
        "errors": len(errors),
        "out": str(out),
    }
    create_markdown_artifact(_report(done, errors, quality), key="explanations", description=f"Of {folder}")
    log.info("explain: %(explained)d explained, %(before)d before, %(errors)d unreadable; in %(out)s", done)
    return done


def _name(folder: Path, model: Path, config: ExplainConfig) -> str:
    return f"{folder.name}-{model.name}-{digests.value_digest([str(folder), config.model_dump(mode='json')])[:8]}"


def _report(done: dict[str, Any], errors: list[str], quality: dict[str, Any] | None) -> str:
    lines = [
        f"{done['explained']:,} pictures explained, {done['before']:,} before, {done['errors']:,} could not be read.",
        "",
        f"Figures, arrays and the table `{TABLE}` are in `{done['out']}`.",
    ]
    if quality:
        lines += ["", quality_table(quality)]
    lines += ["", *(f"- `{printable(error).replace('`', chr(39))}`" for error in errors[:MAX_ERRORS])]
    if len(errors) > MAX_ERRORS:
        lines.append(f"- … and {len(errors) - MAX_ERRORS:,} more")
    return "\n".join(lines)
