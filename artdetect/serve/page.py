"""The page for people: pictures in, verdicts in words out. Without scripts, the form gives all verdicts and figures.

Its scripts and styles come from this service alone, and its policy lets the browser ask nobody else.
"""

import asyncio
import json
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from artdetect.core.version import __version__
from artdetect.model.choice import ROLES
from artdetect.pictures.file_types import SUFFIXES
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.palette import DARK, LIGHT
from artdetect.serve import evidence_view, feedback, forms, model_facts, wording
from artdetect.serve.problems import Refused
from artdetect.serve.service import Judged, Service

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Without a referrer, browsers send `Origin: null` with a form, which the guard refuses.
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
THUMBNAIL = 480  # pixels of the longer side of a picture in an answer


@cache
def _templates() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("artdetect.serve"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def static_files() -> StaticFiles:
    """The scripts and styles."""
    return StaticFiles(directory=str(resources.files("artdetect.serve") / "static"))


def router(service: Service) -> APIRouter:
    """The pages.

    Args:
        service: What answers.
    """
    pages = APIRouter(include_in_schema=False)

    async def page(results: list[dict[str, Any]], problem: str = "", status: int = 200) -> Response:
        await service.live.current()
        facts = await asyncio.to_thread(_facts, service)
        return _html(
            "page.html.jinja",
            status,
            results=results,
            problem=problem,
            has_feedback=service.feedback is not None,
            max_bytes=service.intake.max_bytes,
            max_pictures=forms.MAX_PICTURES,
            accept=",".join(sorted(SUFFIXES)),
            **facts,
        )

    @pages.get("/")
    async def index() -> Response:
        return await page([])

    @pages.post("/")
    async def answers(request: Request) -> Response:
        try:
            return await page(await _results(service, request, figures=True))
        except Refused as refused:
            return await page([], refused.detail, refused.status_code)

    @pages.post("/results")
    async def results(request: Request) -> Response:
        shown = await _results(service, request)
        return _html(
            "results.html.jinja",
            results=shown,
            has_feedback=service.feedback is not None,
            classes=CLASSES,
            max_note=feedback.MAX_NOTE,
        )

    @pages.get("/card")
    async def card() -> Response:
        text = await asyncio.to_thread(model_facts.card, await service.live.current())
        if text is None:
            raise Refused(404, "the model in use has no card: its report was not made, or is gone")
        return PlainTextResponse(text, headers={"Content-Disposition": "inline; filename=model_card.md"})

    @pages.get("/docs")
    async def reference(request: Request) -> Response:
        return _html("reference.html.jinja", api=request.app.openapi(), json=json.dumps)

    @pages.get("/colours.css")
    async def colours() -> Response:
        return Response(_colours(), media_type="text/css")

    return pages


def _html(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    text = _templates().get_template(template).render(version=__version__, **values)
    return HTMLResponse(text, status, HEADERS)


async def _results(service: Service, request: Request, figures: bool = False) -> list[dict[str, Any]]:
    """The values of the template for each picture of a form.

    Args:
        service: What answers.
        request: The request with the form.
        figures: Whether to draw the evidence, for a page without scripts; with scripts, the browser draws it.
    """
    async with service.intake.body(request) as body:
        form = await forms.parse(request.headers, body)
        judged = await service.judge(form.pictures, THUMBNAIL, evidence=figures)
        return [_result(one) | (await _figure(one) if figures else {}) for one in judged]


def _result(judged: Judged) -> dict[str, Any]:
    verdict = judged.verdict
    low, high = judged.model.detector.rule.band()
    answer = judged.as_dict()
    return answer | {
        "answer": answer,
        "name": evidence_view.name(judged),
        "words": evidence_view.words(judged),
        "thumbnail": evidence_view.artwork_uri(judged) if judged.decoded else "",
        "percent": wording.percent(verdict.p_ai) if verdict.p_ai is not None else "",
        "low": low,
        "high": high,
        "figure": "",
    }


async def _figure(judged: Judged) -> dict[str, Any]:
    if not judged.decoded:
        return {}
    figure, caption = await evidence_view.figure_and_caption(judged)
    return {"figure": figure, "caption": caption}


def _facts(service: Service) -> dict[str, Any]:
    model = service.live.model
    return {
        "model": model.detector.id,
        "role": ROLES[model.role],
        "demonstration": model.detector.demonstration,
        "notice": " ".join(model.detector.notice.split()),
        "limits": model_facts.limits(model),
        "band": tuple(map(wording.percent, model.detector.rule.band())),
        "classes": CLASSES,
        "max_note": feedback.MAX_NOTE,
    }


@cache
def _colours() -> str:
    """The colours of the report, as custom properties for both schemes."""

    def properties(scheme: Any) -> str:
        return "".join(f"--{name.replace('_', '-')}:{value};" for name, value in asdict(scheme).items())

    return (
        f":root{{color-scheme:light dark;{properties(LIGHT)}}}\n"
        f"@media(prefers-color-scheme:dark){{:root{{{properties(DARK)}}}}}\n"
    )
