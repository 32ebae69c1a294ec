"""The API of the service, version 1: verdicts, evidence and feedback as JSON, health and metrics."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Request
from fastapi.responses import JSONResponse, Response

from artdetect.explain import evidence_figures
from artdetect.pictures.labels import CLASSES
from artdetect.serve import answers, evidence_view, feedback, forms, intake, metrics
from artdetect.serve.problems import Problem, Refused
from artdetect.serve.service import Counted, Judged, Service
from artdetect.web.problems import MEDIA_TYPE

BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURES = {
    "requestBody": {
        "required": True,
        "description": "A picture as it is, or a form with files; the names of their fields do not matter.",
        "content": {
            "image/*": BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {"picture": {"type": "array", "items": BINARY["schema"], "minItems": 1}},
                }
            },
        },
    }
}
_WHY = {
    400: "The connection ended before the body did",
    403: "The request names another host, or comes from a page of another origin",
    408: f"The body did not arrive within {intake.BODY_SECONDS:.0f} seconds",
    413: "The body is larger than the service accepts",
    422: "No picture can be read, or the form has none",
    503: f"The service is busy; `Retry-After` says when to try again. {intake.MAX_PICTURES} pictures may wait",
    507: "The folder of feedback is full",
}
Name = Annotated[str, Query(description="the picture's name, if the body is a picture; the answer repeats it")]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of errors in the form that FastAPI takes."""
    schema = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    return {status: {"description": _WHY[status], "content": {MEDIA_TYPE: schema}} for status in statuses}


def router(service: Service) -> APIRouter:
    """The endpoints.

    Args:
        service: What answers.
    """
    api = APIRouter()
    common = problems(400, 403, 408, 413, 422, 503)

    @api.post(
        "/api/v1/predict", response_model=answers.Verdicts, responses=common, openapi_extra=PICTURES, tags=["verdicts"]
    )
    async def predict(request: Request, name: Name = "") -> JSONResponse:
        """Verdicts on one or several pictures.

        A picture that cannot be read has a row with `error`. If there is no other, the answer is a problem with status
        422, and its member `pictures` has the rows.
        """
        async with service.intake.body(request) as body:
            form = await forms.parse(request.headers, body, name)
            judged = await service.judge(form.pictures)
        rows = [one.as_dict() for one in judged]
        if all(row["error"] for row in rows):
            raise Refused(422, rows[0]["error"], pictures=rows)
        return JSONResponse({"model": rows[0]["model"], "pictures": rows})

    @api.post(
        "/api/v1/explain",
        response_model=answers.Evidence,
        responses=common | {200: {"content": {"image/png": BINARY}}},
        openapi_extra=PICTURES,
        tags=["verdicts"],
    )
    async def explain(
        request: Request,
        name: Name = "",
        format: Annotated[
            Literal["json", "png"], Query(description="the evidence as numbers, or as a figure")
        ] = "json",
    ) -> Response:
        """Where in one picture the evidence for its verdict lies."""
        async with service.intake.body(request) as body:
            form = await forms.parse(request.headers, body, name)
            judged = await _one(service, form, "once", evidence_figures.SHOWN, evidence=True)
        if format == "png":
            return Response(await evidence_view.figure(judged), media_type="image/png")
        return JSONResponse(evidence_view.as_dict(judged))

    @api.get("/api/v1/model", tags=["model"])
    async def model() -> dict[str, Any]:
        """The model that answers at present, and the rule that turns its p(AI) into a verdict."""
        current = await service.live.current()
        detector = current.detector
        return {
            "id": detector.id,
            "digest": detector.digest,
            "preset": detector.preset,
            "train": current.train,
            "champion_since": current.since,
            "role": current.role,
            "demonstration": detector.demonstration,
            "notice": detector.notice,
            "rule": detector.rule.as_dict() | {"unsure": detector.rule.band()},
        }

    @api.get("/healthz", response_model=answers.Health, tags=["operation"])
    async def health(later: BackgroundTasks) -> dict[str, Any]:
        """Answers at once, however many pictures wait."""
        later.add_task(service.live.current)  # so that a champion that cannot be loaded shows without other requests
        fault = service.live.fault
        return {"status": "degraded" if fault else "ok", "model": service.live.model.detector.id, "fault": fault}

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}, tags=["operation"])
    async def numbers() -> Response:
        """Metrics for Prometheus."""
        return Response(service.metrics.text(service.live.model.detector.id), media_type=metrics.MEDIA_TYPE)

    if service.feedback:
        _add_feedback(api, service, service.feedback)
    return api


def _add_feedback(api: APIRouter, service: Service, folder: feedback.FeedbackFolder) -> None:
    fields = {"label": {"enum": list(CLASSES)}, "note": {"type": "string", "maxLength": feedback.MAX_NOTE}}
    form = {"type": "object", "required": ["picture", "label"], "properties": {"picture": BINARY["schema"], **fields}}
    body = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}

    @api.post(
        "/api/v1/feedback",
        status_code=201,
        response_model=answers.Kept,
        responses=problems(400, 403, 408, 413, 422, 503, 507),
        openapi_extra=body,
        tags=["verdicts"],
    )
    async def feed_back(request: Request) -> JSONResponse:
        """Keep a picture whose verdict is wrong, with its true label and a note, for a person to look at."""
        async with service.intake.body(request) as body:
            form = await forms.parse(request.headers, body)
            label, note = form.fields.get("label", ""), form.fields.get("note", "")
            if label not in CLASSES or len(note) > feedback.MAX_NOTE:
                names = " or ".join(CLASSES)
                raise Refused(
                    422, f"the form needs a label, {names}; a note has at most {feedback.MAX_NOTE} characters"
                )
            judged = await _one(service, form, "never")
            row = judged.verdict.as_dict()
            try:
                path = await asyncio.to_thread(folder.add, form.pictures[0][1], label, note, row)
            except feedback.FolderFullError:
                raise Refused(507, "the folder of feedback is full: a person must look at it first") from None
        service.metrics.count_feedback()
        return JSONResponse({"path": path}, 201)


async def _one(
    service: Service, form: forms.Form, counted: Counted, artwork: int = 0, evidence: bool = False
) -> Judged:
    """The only picture of a form, judged; Refused if there are several, or it cannot be read."""
    if len(form.pictures) != 1:
        raise Refused(422, f"one picture at a time. Received: {len(form.pictures)}")
    (judged,) = await service.judge(form.pictures, artwork, counted, evidence)
    if judged.verdict.error:
        raise Refused(422, judged.verdict.error)
    return judged
