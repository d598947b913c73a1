"""What the service answers in JSON, as models: the OpenAPI document is made from them, and tests hold answers to them.

What is told of a picture has its home in `censor.records`. Such answers go out as the worker made them, without being
taken through a model: that costs time at each picture.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from censor.policy import EFFECTS, MAX_CELLS, SHAPES, PictureRule, Rule
from censor.records import (
    CensoredAnimationRecord,
    CensoredAnswer,
    CensoredPagesRecord,
    CheckedAnimationRecord,
    CheckedAnswer,
    CheckedPagesRecord,
    HiddenOnPageRecord,
    HiddenThingRecord,
    OneOf,
    Range,
    RedactionRecord,
)
from censor.service.answers import TYPES
from censor.service.problems import KINDS

__all__ = [
    "Bounds",
    "Censored",
    "Checked",
    "Films",
    "Health",
    "JobStatus",
    "Label",
    "Labels",
    "Limits",
    "Networks",
    "OfferedEffect",
    "OfferedFilm",
    "OfferedFormat",
    "OfferedPolicies",
    "OfferedPolicy",
    "Options",
    "ProblemDocument",
    "ProblemType",
    "model_of",
]

_EXAMPLE_BOX = {"label": "FACE_FEMALE", "score": 0.8361, "xyxy": [180.4, 59.3, 270.9, 180.2]}
_EXAMPLE_REGION = {
    "label": "NSFW_REGION", "score": 0.9124, "xyxy": [153.6, 256.0, 256.0, 358.4], "classifier": "open_nsfw",
    "effect": "pixelate", "rechecked": False,
}  # fmt: skip
"""FastAPI leaves out what is null, as `classifier` is for a box."""
_EXAMPLE: dict[str, Any] = {
    "width": 512,
    "height": 512,
    "verdict": {"level": "safe", "nsfw": False, "score": 0.0, "policy": "faces", "models": ["detector"], "reasons": []},
    "boxes": [_EXAMPLE_BOX],
    "classifiers": {"open_nsfw": 0.0055, "image-safety-s": 0.0386},
    "seconds": {"decode": 0.003, "detect": 0.021, "wait": 0.0},
}


def model_of(record: Any, name: str, example: dict[str, Any] | None = None, **more: Any) -> type[BaseModel]:
    """A model of the fields of a record.

    Args:
        record: A `TypedDict`, as those of `censor.records`.
        name: What the document calls it.
        example: Of an answer.
        more: Further fields, as `pydantic.create_model` takes them.
    """
    hints = get_type_hints(record, include_extras=True)
    fields = {field: (_type(hint), _field(hint)) for field, hint in hints.items()}
    config = ConfigDict(json_schema_extra=None if example is None else {"examples": [example]})
    return create_model(name, __config__=config, __doc__=record.__doc__, **{**fields, **more})


def _type(hint: Any) -> Any:
    """A hint's type, with models for records."""
    if get_origin(hint) is Annotated:
        return _type(hint.__origin__)
    if is_typeddict(hint):
        return _nested(hint)
    if get_origin(hint) in (list, dict):
        return get_origin(hint)[tuple(map(_type, get_args(hint)))]
    return _type(get_args(hint)[0]) | None if type(None) in get_args(hint) else hint


@functools.cache
def _nested(record: type) -> type[BaseModel]:
    """Once for each: a document that has two of one name renames both."""
    return model_of(record, record.__name__.removesuffix("Record"))


def _field(hint: Any) -> FieldInfo:
    """What is said of a field beside its type. What stands further out wins."""
    said: dict[str, Any] = {}
    for each in getattr(hint, "__metadata__", ()):
        if isinstance(each, Range):
            said |= _bounds(each, items=get_origin(hint.__origin__) is list)
        elif isinstance(each, OneOf):
            said["json_schema_extra"] = {"enum": list(each.texts)}
        else:
            said["description"] = each
    return FieldInfo(**said)


def _bounds(bounds: Range, *, items: bool) -> dict[str, Any]:
    least, most = ("min_length", "max_length") if items else ("ge", "le")
    return {key: value for key, value in ((least, bounds.least), (most, bounds.most)) if value is not None}


def _of_many(moving: type, paged: type, beside: type) -> dict[str, Any]:
    """The fields that records of what moves, and of pages, have beside those of a still's answer."""
    fields: dict[str, Any] = {}
    for record, whose in ((moving, "what moves"), (paged, "several pages")):
        hints = get_type_hints(record, include_extras=True)
        told = hints.keys() - get_type_hints(beside).keys() - {"file", "output"}
        fields |= {name: (_type(hints[name]), _alone(_field(hints[name]), whose)) for name in hints if name in told}
    return fields


def _alone(field: FieldInfo, whose: str) -> FieldInfo:
    text = f"{field.description} Of {whose} alone: missing for a still."
    return FieldInfo.merge_field_infos(
        field, default=None, description=text, json_schema_extra=lambda schema: schema.pop("default")
    )


_Hidden = model_of(RedactionRecord, "Redaction", **_of_many(HiddenThingRecord, HiddenOnPageRecord, RedactionRecord))


class Picture(BaseModel):
    """A picture within JSON, or a film."""

    media_type: Annotated[str, Field(json_schema_extra={"enum": list(dict.fromkeys(TYPES.values()))})]
    base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


Checked = model_of(
    CheckedAnswer, "Checked", _EXAMPLE, **_of_many(CheckedAnimationRecord, CheckedPagesRecord, CheckedAnswer)
)
Censored = model_of(
    CensoredAnswer,
    "Censored",
    _EXAMPLE
    | {
        "classifiers": {"open_nsfw": 0.9124, "image-safety-s": 0.0386},
        "hidden": [_EXAMPLE_REGION],
        "unhidden": [],
        "picture": {"media_type": "image/jpeg", "base64": "/9j/4AAQSkZJRgABAQAAAQABAAD…"},
    },
    **_of_many(CensoredAnimationRecord, CensoredPagesRecord, CensoredAnswer),
    hidden=(list[_Hidden], Field(description="What was hidden, as it was planned, or by first frames, or by pages.")),  # type: ignore[valid-type]  # made above
    picture=(Picture, Field(description="The censored picture, or film.")),
)


class Label(BaseModel):
    """A label that can be named."""

    model_config = ConfigDict(validate_by_name=True)

    label: str
    class_: Annotated[
        int | None, Field(alias="class", description="COCO category id; null but for the six trained classes.")
    ]
    reported: Annotated[bool, Field(description="Whether any network here reports it.")]
    aliases: Annotated[list[str], Field(description="Older spellings, which are taken too.")]


class Labels(BaseModel):
    """All labels."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "labels": [
                        {
                            "label": "BELLY_EXPOSED",
                            "class": 1,
                            "reported": True,
                            "aliases": ["BELLY", "EXPOSED_BELLY"],
                        }
                    ]
                }
            ]
        }
    )

    labels: list[Label]


class OfferedPolicy(BaseModel):
    """A policy that requests may name."""

    name: str
    default: Annotated[bool, Field(description="Whether it is that of requests that name none.")]
    cells: Annotated[int, Field(ge=1, le=MAX_CELLS)]
    color: Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]
    feather: Annotated[float, Field(ge=0, le=1)]
    labels: Annotated[dict[str, Rule], Field(description="Label to rule.")]
    picture: Annotated[PictureRule, Field(description="What is done about what classifiers say.")]
    heat: Annotated[Rule | None, Field(description="How what classifiers see is hidden; null where nothing of it is.")]
    classifiers: Annotated[list[str], Field(description="Those here that it asks.")]


class OfferedPolicies(BaseModel):
    """All policies, the default first."""

    policies: list[OfferedPolicy]


class OfferedFormat(BaseModel):
    """A format that is taken, and that can be asked for."""

    name: Annotated[str, Field(description="What the option `format` takes.")]
    title: Annotated[str, Field(description="As people call it.")]
    media_type: str
    suffix: Annotated[str, Field(pattern=r"^\.[a-z]+$", description="What new files end in.")]
    in_browsers: Annotated[bool, Field(description="Whether browsers of all kinds show it.")]


class OfferedEffect(BaseModel):
    """What can be shown instead of a region."""

    name: Annotated[str, Field(json_schema_extra={"enum": list(EFFECTS)})]
    cells: Annotated[bool, Field(description="Whether it shows means of cells; otherwise nothing of the picture.")]


class Bounds(BaseModel):
    """A whole number's."""

    minimum: int
    maximum: int


class Limits(BaseModel):
    """On what may be sent."""

    max_bytes: Annotated[int, Field(ge=1, description="Of an encoded picture.")]
    max_pixels: Annotated[int, Field(ge=1, description="Width times height.")]


class Networks(BaseModel):
    """Who looks at pictures, by name: each policy asks those alone that it needs."""

    detectors: Annotated[list[str], Field(description="Those that find boxes.")]
    classifiers: Annotated[
        dict[str, list[str]], Field(description="Those that judge the picture as a whole, with what each can say.")
    ]


class ProblemDocument(BaseModel):
    """Why there is no result: RFC 9457, section 3.1."""

    type: Annotated[str, Field(json_schema_extra={"enum": [f"/problems/{name}" for name in KINDS]})]
    title: str
    status: int
    detail: Annotated[str, Field(description="What is wrong with this request, for people.")]


class OfferedFilm(BaseModel):
    """A kind of film that is taken."""

    title: Annotated[str, Field(description="As people call it.")]
    media_type: str
    suffix: Annotated[str, Field(pattern=r"^\.[a-z0-9]+$", description="What its files end in.")]


class Films(BaseModel):
    """What is taken of what moves, or has several pages."""

    formats: Annotated[list[OfferedFilm], Field(description="Kinds of films; none where the extra `video` is missing.")]
    animations: Annotated[list[str], Field(description="Those of `formats` that may have several frames.")]
    pages: Annotated[list[str], Field(description="Those of `formats` that may have several pages.")]
    max_bytes: Annotated[int, Field(ge=1, description="Of a film; others may have as many as a picture.")]
    max_seconds: Annotated[
        float, Field(gt=0, description="That it may play, at sixty frames a second; a page counts as a frame.")
    ]
    max_job_seconds: Annotated[float | None, Field(description="The same for a job; null where none is taken.")]


class JobStatus(BaseModel):
    """How a job stands."""

    id: Annotated[str, Field(description="What alone gives access to it.")]
    status: Literal["receiving", "working", "done", "failed"]
    frames_done: Annotated[int, Field(ge=0, description="Each frame of a film that is hidden in counts twice.")]
    frames_total: Annotated[int | None, Field(description="Of so many; null where nobody knows.")]
    frames_a_second: Annotated[float, Field(ge=0, description="Since work began.")]
    seconds_left: Annotated[float | None, Field(description="If it goes on like that; null where nobody knows.")]
    problem: Annotated[ProblemDocument | None, Field(description="Why there will be no result.")]
    expires_in: Annotated[float | None, Field(description="Seconds until it is forgotten; null until it has ended.")]


class Options(BaseModel):
    """What requests may ask for, what they may send, and who looks; policies and labels are listed by themselves."""

    formats: Annotated[list[OfferedFormat], Field(description="The first is shown by browsers of all kinds.")]
    effects: list[OfferedEffect]
    shapes: list[Annotated[str, Field(json_schema_extra={"enum": list(SHAPES)})]]
    cells: Bounds
    limits: Limits
    films: Annotated[Films | None, Field(description="Null where neither films nor animations nor pages are taken.")]
    networks: Networks


class Health(BaseModel):
    """One word."""

    status: Literal["alive", "ready"]


class ProblemType(BaseModel):
    """What a type of problem means."""

    type: Annotated[str, Field(json_schema_extra={"enum": [f"/problems/{name}" for name in KINDS]})]
    title: str
    status: int
    meaning: Annotated[str, Field(description="What happened, and what can be done about it.")]
