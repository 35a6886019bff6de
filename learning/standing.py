"""How every learner stands: who answers, who was tried, who never was, and who cannot be."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from inspect import getdoc
from typing import Self

from domain.values import Value
from domain.version import Stage, Version
from models.catalog import CATALOG, entry
from storage import registry
from storage.engine import Store
from storage.registry import Ruled, Ruling

NOTE = re.compile(r"\s*\[\d+\]_")
"""Where a docstring points to its references, which are not shown."""
Lacking = Callable[[Sequence[str]], Mapping[str, str]]
"""Given names of models, what must be imported before each can be trained; others are left out."""


class State(StrEnum):
    """Where a learner of the catalog stands."""

    CHAMPION = "champion"
    """A version of it answers."""
    CHALLENGER = "challenger"
    """It was trained, and none of its versions answers."""
    UNTRAINED = "untrained"
    UNAVAILABLE = "unavailable"
    """It was never trained, and cannot be with what the feed has."""


class Standing(Value):
    """One learner of the catalog, with the reason why it stands so."""

    model: str
    state: State
    reason: str
    versions: int
    champion: Version | None = None


class About(Value):
    """What stands in the class of a learner."""

    model: str
    title: str
    purpose: str
    """Its docstring in paragraphs of one line each, up to the first section with a heading."""
    predicts: str
    target: str
    features: tuple[str, ...]
    requires: tuple[str, ...]
    extra: str
    retrain: str
    limits: str

    @classmethod
    def of(cls, name: str) -> Self:
        """Return what is known of a learner of the catalog without its ever having learned."""
        kind = entry(name).load()
        return cls(
            model=name,
            title=kind.title,
            purpose=_prose(getdoc(kind) or ""),
            predicts=kind.target.words,
            target=kind.target.name,
            features=kind.features,
            requires=kind.requires,
            extra=kind.extra,
            retrain=kind.retrain,
            limits=kind.limits,
        )


def _prose(text: str) -> str:
    found = []
    for paragraph in NOTE.sub("", text).split("\n\n"):
        lines = paragraph.splitlines()
        if len(lines) > 1 and set(lines[1]) == {"-"}:
            break
        found.append(" ".join(line.strip() for line in lines))
    return "\n\n".join(found)


def standings(
    store: Store, lacking: Lacking, names: Collection[str] = CATALOG
) -> dict[str, Standing]:
    """Return how learners of the catalog stand, in its order.

    Parameters
    ----------
    lacking
        Asked once, about those that were never trained and of which that can be a question.
    """
    every, rulings = registry.versions(store), registry.ledger(store)
    found = {name: [v for v in every if v.model == name] for name in CATALOG if name in names}
    told = {name: [line for line in rulings if line.model == name] for name in found}
    never = [name for name in found if not found[name]]
    asked = [name for name in never if choosy(name)]
    missing = lacking(asked) if asked else {}
    return {name: _standing(name, found[name], told[name], missing.get(name, "")) for name in found}


def choosy(name: str) -> bool:
    """Return whether a model can be unavailable at all; of others no feed need be opened."""
    kind = CATALOG[name].load()
    return bool(kind.requires or kind.extra) or kind.target.universe == "stocks"


def _standing(name: str, own: list[Version], told: list[Ruled], missing: str) -> Standing:
    champion = next((v for v in own if v.stage is Stage.CHAMPION), None)
    if champion is not None:
        last = [line for line in told if line.version == champion.version]
        state, reason = State.CHAMPION, _said(last)
    elif own:
        state, reason = State.CHALLENGER, _said(told)
    elif missing:
        state, reason = State.UNAVAILABLE, missing
    else:
        state, reason = State.UNTRAINED, f"`omega train {name}`"
    return Standing(model=name, state=state, reason=reason, versions=len(own), champion=champion)


def _said(told: list[Ruled]) -> str:
    """Return what was decided last, and why."""
    if not told:
        return "the gate has not ruled on it"
    return f"{told[-1].ruling.lower()}: {told[-1].reason}"


def before(told: Sequence[Ruled], version: str) -> str | None:
    """Return the champion in office when a version was first ruled on, None for none.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> at, plain = datetime(2018, 1, 5, tzinfo=UTC), {"model": "xgb", "measures": {}, "who": "a"}
    >>> told = [("aaa", "PROMOTE"), ("bbb", "HOLD"), ("ccc", "PROMOTE")]
    >>> lines = [
    ...     Ruled(**plain, id=i, version=v, ruling=Ruling(r), reason="", at=at)
    ...     for i, (v, r) in enumerate(told)
    ... ]
    >>> before(lines, "aaa"), before(lines, "bbb"), before(lines, "ccc"), before(lines, "new")
    (None, 'aaa', 'aaa', 'ccc')
    """
    office = None
    for line in told:
        if line.version == version:
            return office
        if line.ruling in (Ruling.PROMOTE, Ruling.ROLLBACK):
            office = line.version
        elif line.ruling is Ruling.RETIRE:
            office = None
    return office
