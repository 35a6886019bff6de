"""Safety (PROVERBS): nothing else is asked when trading is halted."""

from domain.decision import Draft, Verdict
from orchestrator.layers.base import layer
from risk import guardrails


@layer
def safety(draft: Draft) -> Verdict:
    """Stop what a switch, a loss limit, the session or bad data forbids.

    Examples
    --------
    >>> from domain.examples import context, switch
    >>> halted = Draft(context=context(switches={"latches": (switch(),)}))
    >>> safety(halted).veto.code
    <Reason.KILLED: 'KILLED'>
    """
    return guardrails.safety(draft.context)
