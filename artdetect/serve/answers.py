"""The structures of the API's answers, from which its description is made."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from artdetect.model.predict import Verdict
from artdetect.pictures.declared_provenance import Declaration

_PICTURE: dict[str, Any] = {
    "path": "castle.png",
    "verdict": "AI",
    "reason": "sure",
    "p_ai": 0.981,
    "model": "artnet-1a2b3c4d",
    "error": None,
    "predicted": "AI",
    "novelty": 0.87,
    "generator": "SDXL",
    "native_crops": 3,
    "ai_region": None,
    "ai_area": None,
    "human_region": None,
    "headline": "Looks AI-generated",
    "explanation": "The model puts the probability of AI at 98.1 %; it says AI from 83.0 % on.",
    "meaning": "It is no proof: some works of people look like this to the model.",
    "declared": [
        {
            "source": "IPTC DigitalSourceType (XMP)",
            "claim": "made by a generative model",
            "kind": "AI",
            "value": "trainedAlgorithmicMedia",
        }
    ],
    "stands_out": None,
}
_MIXED: dict[str, Any] = _PICTURE | {
    "path": "portrait.jpg",
    "verdict": "mixed",
    "reason": "parts differ",
    "p_ai": 0.412,
    "predicted": "human",
    "novelty": 0.94,
    "generator": None,
    "native_crops": 0,
    "ai_region": (0.36, 0.14, 0.64, 0.5),
    "ai_area": 0.09,
    "human_region": (0.0, 0.0, 1.0, 1.0),
    "headline": "Looks AI-generated in part",
    "explanation": "9.0 % of the picture speak firmly for AI, the rest firmly for human (mixed: AI at 36 to 64 % from "
    "the left, 14 to 50 % from the top).",
    "meaning": "It is no proof: parts of one person's work may differ like this. Look at the region yourself.",
    "declared": [],
    "stands_out": "AI",
}
EXAMPLES: dict[str, dict[str, Any]] = {  # of the structures below
    "Verdicts": {"model": "artnet-1a2b3c4d", "pictures": [_PICTURE, _MIXED]},
    "Health": {"status": "ok", "model": "artnet-1a2b3c4d", "fault": None},
    "Evidence": {  # a real grid has 14 rows of 14 places
        "picture": _PICTURE,
        "margin": [[2.31, 1.87], [0.42, -0.35]],
        "p_ai": [[0.91, 0.87], [None, None]],
        "full_colour": 4.0,
        "level": [[0.82, 0.74], [0.0, 0.0]],
        "caption": "The upper part speaks for AI; the rest says nothing.",
        "image": "data:image/jpeg;base64,/9j/4AAQ…",
    },
}


@dataclass(frozen=True)
class PictureAnswer(Verdict):
    """The row of one picture: what `artdetect predict --json` prints, and the same in words."""

    headline: str = ""  # the verdict in a few words
    explanation: str = ""  # why, as a sentence
    meaning: str = ""  # what it does not mean
    declared: tuple[Declaration, ...] = ()  # what the file itself claims; no part of the verdict
    stands_out: Annotated[
        Literal["AI", "human"] | None,
        Field(description="which part of a mixed picture stands out, in ai_region or human_region", examples=["AI"]),
    ] = None


COLUMNS = tuple(column.name for column in fields(PictureAnswer))


class Verdicts(BaseModel):
    """The verdicts on the pictures of a request, in their order."""

    model: str = Field(description="the id of the model that judged them")
    pictures: list[PictureAnswer]


class Kept(BaseModel):
    """A picture that was kept as a candidate for a golden case."""

    path: str = Field(
        description="its file in the folder of feedback", examples=["human/feedback/0a1b2c3d4e5f6071.jpg"]
    )


class Health(BaseModel):
    """Whether the service is well."""

    status: Literal["ok", "degraded"]
    model: str = Field(description="the id of the model in use")
    fault: str | None = Field(description="why the champion is not the model in use")


class Evidence(BaseModel):
    """Where the evidence for a verdict lies, on a grid over the picture as the model sees it."""

    picture: PictureAnswer
    margin: list[list[float]] = Field(
        description="rows from the top: what each place and its surroundings say, in logits; above 0 for AI"
    )
    p_ai: list[list[float | None]] = Field(
        description="the calibrated probability of AI of these parts alone; null where parts of this size say nothing"
    )
    full_colour: float = Field(
        description="the size of a margin from which on it is drawn in full colour, where parts are not calibrated: "
        "the same for all pictures"
    )
    level: list[list[float]] = Field(
        description="the colour of each place, from -1, all for human, to 1, all for AI; 0 has none"
    )
    caption: str = Field(description="what the evidence says, in a sentence")
    image: str = Field(description="what the grid lies over, as a data URI: the picture, or the square that is judged")
