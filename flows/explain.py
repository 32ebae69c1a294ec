"""Explanations for any folder of pictures: figures, arrays and one table; killed, the next run goes on with it.

Pictures that were explained before, by the same model and settings, are left alone.
"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artdetect.compute import ComputeConfig, use_compute
from artdetect.core import digests, paths
from artdetect.core.errors import DataError
from artdetect.explain import quality as checks
from artdetect.explain.batch_job import TABLE, ExplanationJob
from artdetect.explain.config import ExplainConfig
from artdetect.formatting.text import printable
from artdetect.model import predict
from tasks.engine.run_record import HOOKS
from tasks.explain import explained

SHOWN = 20  # errors on the dashboard; all stand in the table


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
    """Explain the verdicts on the pictures in `folder`; give what was done, in numbers, and where it is.

    Args:
        folder: Of pictures, recursively.
        out: Where figures and table go; artifacts/explanations/<folder>-<model>-<digest> if left out.
        model: An artifact folder or a model file; the champion if left out.
        config: Method, settings and figures.
        compute: With engine dask the workers of a cluster explain, else this process; the result is the same.
    """
    log = get_run_logger()
    model = model or predict.default_model()
    if not folder.exists() or next(predict.find_pictures([folder]), None) is None:
        raise DataError(f"{folder}: found no pictures")
    out = out or paths.artifacts() / "explanations" / _name(folder.resolve(), model.resolve(), config)
    batch = ExplanationJob(predict.find_model(model), config, out)
    waiting = list(batch.waiting([folder]))
    log.info("explain: %d pictures to explain, %d explained before", len(waiting), batch.unchanged)

    errors: list[str] = []
    with use_compute(compute) as crew:
        for finished, rows in explained(batch, model, waiting, crew):
            errors += [row["error"] for row in rows]
            log.info("explain: %d of %d pictures", finished, len(waiting))
    quality = batch.finish()

    done = {
        "explained": len(waiting) - len(errors),
        "before": batch.unchanged,
        "errors": len(errors),
        "out": str(out),
    }
    create_markdown_artifact(_said(done, errors, quality), key="explanations", description=f"Of {folder}")
    log.info("explain: %(explained)d explained, %(before)d before, %(errors)d unreadable; in %(out)s", done)
    return done


def _name(folder: Path, model: Path, config: ExplainConfig) -> str:
    return f"{folder.name}-{model.name}-{digests.value_digest([str(folder), config.model_dump(mode='json')])[:8]}"


def _said(done: dict[str, Any], errors: list[str], quality: dict[str, Any] | None) -> str:
    lines = [
        f"{done['explained']:,} pictures explained, {done['before']:,} before, {done['errors']:,} could not be read.",
        "",
        f"Figures, arrays and the table `{TABLE}` are in `{done['out']}`.",
    ]
    if quality:
        lines += ["", *checks.markdown(quality)]
    lines += ["", *(f"- `{printable(error).replace('`', chr(39))}`" for error in errors[:SHOWN])]
    if len(errors) > SHOWN:
        lines.append(f"- … and {len(errors) - SHOWN:,} more")
    return "\n".join(lines)
