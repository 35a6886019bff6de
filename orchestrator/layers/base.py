"""What makes a plain rule a layer."""

from collections.abc import Callable
from functools import wraps

from domain.decision import Draft, Effect, Reason, Verdict
from domain.errors import FeatureMismatch, OmegaError

Rule = Callable[[Draft], Verdict]
Layer = Callable[[Draft], Draft]

BROKEN = (OmegaError, ArithmeticError, LookupError, ValueError)
"""What a rule can fail with on bad input; anything else is a bug that must be seen."""


def layer(rule: Rule) -> Layer:
    """Make a layer of a rule: silent after a veto, and closed when it fails.

    A rule that raises becomes a veto, so a broken layer can only ever stop a trade, never wave
    one through.
    """
    name = rule.__name__

    @wraps(rule)
    def step(draft: Draft) -> Draft:
        if draft.vetoed:
            return draft
        try:
            return draft.add(rule(draft))
        except FeatureMismatch as error:
            return draft.add(veto(name, Reason.FEATURE_UNKNOWN, str(error)))
        except BROKEN as error:
            return draft.add(veto(name, Reason.FAILED, f"{type(error).__name__}: {error}"))

    return step


def veto(layer: str, code: Reason, reason: str, **evidence: float) -> Verdict:
    """Return the verdict that ends a draft."""
    return Verdict(layer=layer, effect=Effect.VETO, code=code, reason=reason, evidence=evidence)
