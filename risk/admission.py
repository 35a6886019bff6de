"""The last question before an order is written: whether what was sized may still be reserved."""

from math import floor

from domain.book import Exposure, Switches
from domain.decision import Draft, Effect, Reason, Verdict
from domain.errors import DataError
from risk import caps, killswitch
from risk.correlation import shared
from risk.sizing import unit_risk


def admit(draft: Draft, now: Switches, held: tuple[Exposure, ...]) -> Verdict:
    """Decide, inside the sealing transaction, whether a draft may still reserve what it wants.

    Pure. Since the context was gathered, a switch may have been thrown and other workers may have
    reserved; what they left may be less than was sized. An exposure that came in between has no
    correlation in the context and counts as moving along in full.
    """
    context, proposal = draft.context, draft.proposal
    if proposal is None:
        raise DataError(f"{context.id} wants {draft.quantity} of nothing")
    fresh = context.model_copy(update={"switches": now})
    refused = killswitch.refuse_entry(fresh)
    if refused is not None:
        return refused.model_copy(update={"layer": "seal"})
    book, limits, bot = context.book, context.limits, context.bot
    added = [e for e in held if e.bot == bot.name and e.id not in {o.id for o in book.exposures}]
    for code, count, limit in (
        (Reason.MAX_OPEN, book.open_positions + len(added), bot.max_open),
        (Reason.MAX_DAILY, book.trades_today + len(added), bot.max_daily),
    ):
        if count >= limit:
            reason = f"{count} by now, limit {limit}"
            return Verdict(layer="seal", effect=Effect.VETO, code=code, reason=reason)
    along = shared(proposal.side, 0.0, context.correlations, held).held
    left = caps.room(limits, book.desk_equity, held, context.symbol, along)
    quantity = min(draft.quantity, floor(left.left / unit_risk(proposal)))
    if quantity == draft.quantity:
        return Verdict(layer="seal", evidence={"room": left.left})
    if quantity < 1:
        reason = f"{left.left:,.0f} of risk is left, one unit takes {unit_risk(proposal):,.0f}"
        return Verdict(layer="seal", effect=Effect.VETO, code=left.cap, reason=reason)
    return Verdict(
        layer="seal",
        effect=Effect.ADJUST,
        code=left.cap,
        reason=f"{draft.quantity} were sized, room for {quantity} is left",
        quantity=quantity,
        evidence={"room": left.left},
    )
