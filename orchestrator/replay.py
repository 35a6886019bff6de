"""Deciding again from the record: the same context and predictions, the same decision."""

from collections.abc import Iterable

from domain.decision import OmegaDecision
from domain.values import Value
from orchestrator import pipeline


class Replayed(Value):
    """How many recorded decisions came out equal, and the ids of those that did not."""

    equal: int
    asked: int
    different: tuple[str, ...] = ()


def again(recorded: OmegaDecision) -> OmegaDecision:
    """Decide on a recorded context, with the recorded predictions, and no artifact at all.

    The verdict of the seal depends on what other workers had reserved by then. It is part of the
    record, so it is put back, and everything before it is computed anew.
    """
    draft = pipeline.run(recorded.context, lambda _: recorded.draft.predictions)
    for verdict in recorded.draft.verdicts:
        if verdict.layer == "seal":
            draft = draft.add(verdict)
    return OmegaDecision.seal(draft)


def check(records: Iterable[OmegaDecision]) -> Replayed:
    """Decide on every record again and compare, hash for hash."""
    asked, different = 0, []
    for recorded in records:
        asked += 1
        if again(recorded).hash != recorded.hash:
            different.append(recorded.id)
    return Replayed(equal=asked - len(different), asked=asked, different=tuple(different))
