"""The policies that requests may name, and what a request's options make of one."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import core_schema

from censor.errors import PolicyError
from censor.policy import EFFECTS, MAX_CELLS, SHAPES, Policy
from censor.policy_toml import PRESETS, load_policy
from censor.service.problems import Problem
from censor.service.schemas import OfferedPolicy
from censor.service.settings import Settings
from censor.stickers import load_sticker
from censor.wording import in_short
from detect.errors import ImageError, ReadError, UnknownLabelError
from detect.models.catalogue import KNOWN
from detect.pictures.formats import FORMATS, titles

__all__ = ["Censoring", "Judging", "Policies", "asked", "merged"]

_LOG = logging.getLogger("censor.service")
_O = TypeVar("_O", bound="Judging")

_FAULTS, _NAME = 5, 50
"""How many faults, and how many characters of a name that the client made up, a problem's detail repeats."""

_KNOWN = tuple(model.name for model in KNOWN if model.kind == "classifier")
_NOBODY: Mapping[str, Sequence[str]] = MappingProxyType({})
_LOSSY = tuple(each for each in FORMATS if each.is_lossy)


@dataclasses.dataclass(frozen=True)
class _OneOf:
    """One of the texts that are listed elsewhere: a `Literal` made while the program runs."""

    texts: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.literal_schema(list(self.texts))


class Judging(BaseModel):
    """Options of POST /v1/check."""

    model_config = ConfigDict(extra="forbid")

    policy: Annotated[str | None, Field(max_length=100, description="One of GET /v1/policies.", examples=["faces"])] = (
        None
    )


class Censoring(Judging):
    """Options of POST /v1/censor."""

    label: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        Field(max_length=50, description="Hide these labels and no others; see GET /v1/labels. Repeatable."),
    ] = []
    replacewith: Annotated[Annotated[str, _OneOf(EFFECTS)] | None, Field(description="What is shown instead.")] = None
    shape: Annotated[Annotated[str, _OneOf(SHAPES)] | None, Field(description="Of hidden regions.")] = None
    cells: Annotated[
        int | None, Field(ge=1, le=MAX_CELLS, description="Squares along a region's longer side: fewer hide more.")
    ] = None
    format: Annotated[
        Annotated[str, _OneOf(tuple(each.name.lower() for each in FORMATS))] | None,
        Field(description="Of the censored picture; by default that of the picture sent."),
    ] = None
    quality: Annotated[
        int | None,
        Field(
            ge=1,
            le=100,
            description=f"Of {titles('and', _LOSSY)}; by default that of a JPEG for a JPEG, else 95.",
        ),
    ] = None


def asked(kind: type[_O], query: Iterable[tuple[str, str]]) -> _O:
    """Options from a query string, by name and value.

    FastAPI, asked for the same, takes the last of an option that is given twice and forgets the first; and to find the
    fields of a model that it has known since the start takes it longer than all else that is done for a request.

    Raises:
        Problem: "bad-option": unknown, given twice, or out of range.
    """
    given: dict[str, list[str]] = {}
    for name, value in query:
        given.setdefault(name, []).append(value)
    return _options(kind, {}, given)


def merged(query: _O, fields: Mapping[str, list[str]]) -> _O:
    """Options from the query string and from a form's fields together; what the form says wins.

    Raises:
        Problem: "bad-option": an option of the form is unknown, given twice, or out of range.
    """
    return _options(type(query), query.model_dump(exclude_unset=True), fields) if fields else query


def _options(kind: type[_O], known: dict[str, Any], more: Mapping[str, list[str]]) -> _O:
    given = dict(known)
    for name, values in more.items():
        if len(values) > 1 and name != "label":
            raise Problem("bad-option", f"{_short(name)}: given more than once")
        given[name] = values if name == "label" else values[0]
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise Problem("bad-option", _explained(error.errors(include_input=False, include_url=False))) from None


def _explained(faults: Sequence[Any]) -> str:
    """What pydantic found, in one line, without repeating values; of names and of faults only so many."""
    told = [f"{_short('.'.join(map(str, each['loc'])))}: {each['msg']}" for each in faults]
    return in_short(told, most=_FAULTS, between="; ")


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[:_NAME]}…"


def _check_sticker(name: str, policy: Policy) -> None:
    """Any request may ask for stickers; what is wrong with one is no fault of the picture that was sent."""
    try:
        load_sticker(policy.sticker)
    except (ImageError, ReadError) as error:
        raise PolicyError(f"policy {name!r}: its sticker cannot be used: {error}") from error


class Policies:
    """Policies by name. A request names one of these and nothing else: it can never name a file.

    Attributes:
        default: The name of the one for requests that name none.
    """

    def __init__(
        self, offered: Mapping[str, Policy], default: str, left_out: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._offered = dict(offered)
        self._left_out = dict(left_out)
        self.default = default

    @classmethod
    def load(cls, settings: Settings) -> Policies:
        """The presets, the files in the folder of policies, and the default, wherever it lies.

        Raises:
            PolicyError: There is no such folder, one is not valid or its sticker cannot be read, or a file has the name
                of a preset.
        """
        if settings.policies is not None and not settings.policies.is_dir():
            raise PolicyError(f"{settings.policies}: the folder of policies is no folder")
        offered = {name: load_policy(name) for name in PRESETS}
        for path in sorted(settings.policies.glob("*.toml")) if settings.policies is not None else ():
            if path.stem in offered:
                raise PolicyError(f"{path}: {path.stem!r} is the name of a preset")
            offered[path.stem] = load_policy(path)
        default = settings.policy
        if default not in offered:
            default = Path(default).stem
            if default in offered:
                raise PolicyError(f"{settings.policy}: another policy is called {default!r} already")
            offered[default] = load_policy(settings.policy)
        for name, policy in offered.items():
            _check_sticker(name, policy)
        return cls(offered, default)

    @property
    def names(self) -> tuple[str, ...]:
        """What requests may name."""
        return tuple(self._offered)

    def judging(self, names: Sequence[str], says: Mapping[str, Sequence[str]] = _NOBODY) -> tuple[str, ...]:
        """Those that give a verdict.

        Args:
            names: What boxes can be found of.
            says: Each classifier's name, to the names of what it can say.
        """
        return tuple(name for name, policy in self._offered.items() if policy.judges(names, says))

    @property
    def lowest(self) -> float:
        """The lowest score that any of them acts on."""
        return min(policy.lowest for policy in self._offered.values())

    @property
    def labels(self) -> tuple[str, ...]:
        """All that any of them does something about."""
        return tuple(dict.fromkeys(label for policy in self._offered.values() for label in policy.acting))

    @property
    def ask_classifiers(self) -> bool:
        """Whether any of them does something about what classifiers say."""
        return any(policy.asks_classifiers for policy in self._offered.values())

    def counted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some classifiers that any of them counts."""
        asking = [policy.picture for policy in self._offered.values() if policy.asks_classifiers]
        return tuple(name for name in names if any(rule.counted((name,)) for rule in asking))

    def served_by(self, names: tuple[str, ...], says: Mapping[str, Sequence[str]] = _NOBODY) -> Policies:
        """Those that the networks can serve; presets that they cannot are left out.

        Args:
            names: What boxes can be found of.
            says: Each classifier's name, to the names of what it can say.

        Raises:
            PolicyError: They cannot serve one that was asked for.
            UnknownLabelError: One names a label that nobody knows.
        """
        served, left_out = {}, {}
        for name, policy in self._offered.items():
            try:
                policy.require(names, classifiers=says, known=_KNOWN)
            except PolicyError as error:
                if name not in PRESETS or name == self.default:
                    raise
                left_out[name] = str(error)
                _LOG.warning("policy left out", extra={"fields": {"policy": name}})
                continue
            served[name] = policy
        return Policies(served, self.default, left_out)

    def named(self, name: str | None) -> Policy:
        """The policy of that name, the default for None.

        Raises:
            Problem: "unknown-policy", "policy-not-served".
        """
        if name in self._left_out:
            raise Problem("policy-not-served", f"{self._left_out[name]}.")
        policy = self._offered.get(self.default if name is None else name)
        if policy is None:
            raise Problem("unknown-policy", f"There are {', '.join(self._offered)}.")
        return policy

    def check_overridden(
        self, query: Judging, options: Judging, names: tuple[str, ...], says: Mapping[str, Sequence[str]] = _NOBODY
    ) -> None:
        """Refuse names in the query that nobody knows, also where a form has others, which win.

        Args:
            query: What the query string says.
            options: What it and the form say together.
            names: What boxes can be found of.
            says: Each classifier's name, to the names of what it can say.

        Raises:
            Problem: "unknown-policy", "policy-not-served", "unknown-label".
        """
        self.named(query.policy)
        if isinstance(query, Censoring) and isinstance(options, Censoring) and query.label != options.label:
            self.adjusted(options.model_copy(update={"label": query.label}), names, says)

    def adjusted(
        self, options: Censoring, names: tuple[str, ...], says: Mapping[str, Sequence[str]] = _NOBODY
    ) -> Policy:
        """The policy that a request asks for.

        Args:
            options: What it says.
            names: What boxes can be found of.
            says: Each classifier's name, to the names of what it can say.

        Raises:
            Problem: "unknown-policy", "policy-not-served", "unknown-label".
        """
        policy = self.named(options.policy)
        if options.label:
            try:
                policy = policy.only(options.label, names)
                policy.require(names, classifiers=says)
            except (PolicyError, UnknownLabelError) as error:
                raise Problem("unknown-label", str(error)) from error
        own = {"effect": options.replacewith, "shape": options.shape}
        if own := {key: value for key, value in own.items() if value is not None}:
            policy = policy.each(**own)
        return policy if options.cells is None else dataclasses.replace(policy, cells=options.cells)

    def listed(self, says: Mapping[str, Sequence[str]] = _NOBODY) -> list[OfferedPolicy]:
        """All of them, for clients, the default first.

        Args:
            says: Each classifier's name, to the names of what it can say.
        """
        ordered = sorted(self._offered, key=lambda name: name != self.default)
        return [
            OfferedPolicy(
                name=name,
                default=name == self.default,
                cells=self._offered[name].cells,
                color=f"#{bytes(self._offered[name].color).hex()}",
                feather=self._offered[name].feather,
                labels=dict(self._offered[name].rules),
                picture=self._offered[name].picture,
                heat=self._offered[name].heat,
                classifiers=list(self._asked(name, says)),
            )
            for name in ordered
        ]

    def _asked(self, name: str, says: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        policy = self._offered[name]
        return policy.picture.counted(says) if policy.asks_classifiers else ()

    @property
    def hide_heat(self) -> bool:
        """Whether any of them hides what classifiers see."""
        return any(policy.heat is not None for policy in self._offered.values())
