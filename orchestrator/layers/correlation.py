"""Correlation: no trade may double a risk the book already carries."""

from domain.decision import Draft, Effect, Reason, Verdict
from domain.errors import OmegaError
from orchestrator.layers.base import layer, veto
from risk.correlation import shared


@layer
def correlation(draft: Draft) -> Verdict:
    """Veto a trade that moves with a position held in another symbol, by any bot.

    Positions in the same symbol always move together; how much of those the desk may hold is the
    symbol's cap, in sizing. What all positions together would lose with this one is the shared
    risk, and it has a limit too. Hedges come out negative and always pass: the limit stops
    doubling up, not getting out.

    Examples
    --------
    >>> from domain.examples import draft, exposure
    >>> held = exposure(symbol="AAPL")
    >>> book = {"equity": 1e5, "peak": 1e5, "day_pnl": 0, "desk_equity": 6e5, "allocation": 0.25,
    ...         "exposures": (held,)}
    >>> correlation(draft(book=book, correlations={held.id: 0.93})).veto.code
    <Reason.CORRELATED: 'CORRELATED'>
    """
    context, proposal = draft.context, draft.proposal
    if proposal is None:
        raise OmegaError("there is no proposal to compare with the book")
    book, limits = context.book, context.limits
    mine = shared(proposal.side, proposal.max_loss, context.correlations, book.exposures)
    others = {e.id: mine.movement[e.id] for e in book.exposures if e.symbol != context.symbol}
    worst = max(others, key=lambda held: others[held], default=None)
    evidence = {"held": mine.held} | ({} if worst is None else {"worst": others[worst]})
    if worst is not None and others[worst] > limits.max_correlation:
        reason = f"{others[worst]:.2f} with {worst}, limit {limits.max_correlation:.2f}"
        return veto("correlation", Reason.CORRELATED, reason, **evidence)
    most = limits.shared_risk * book.desk_equity
    if mine.total > most:
        reason = f"{mine.total:,.0f} would be lost together, limit {most:,.0f}"
        return veto("correlation", Reason.SHARED_RISK, reason, **evidence)
    return Verdict(layer="correlation", effect=Effect.PASS, evidence=evidence)
