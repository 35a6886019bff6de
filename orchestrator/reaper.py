"""What was asked for and came to no end: it is put on its way again, or given up.

The record is asked, and never the broker: what it has lost a broker cannot tell.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from domain.decision import Context, Draft
from orchestrator.desk import DECISION, JOBS, TRAINING, Desk
from orchestrator.pulse import newest
from storage import dead, decisions, jobs
from storage.jobs import Job, Stands

LOST = timedelta(seconds=3)
"""How long a decision may be under way, beside what it waits in the queue; one takes 0.05 s."""
PASSES = 4
"""How often a decision waits in the queue: once before each hop."""
ATTEMPTS = 3
"""How often a decision is published in all."""
NEVER = datetime.min.replace(tzinfo=UTC)


def reap(desk: Desk, lost: Collection[str] = ()) -> list[list[Context]]:
    """Return what is to be published again, in groups that go together; tell `sent` of each.

    What is overdue is sealed as expired. What was published as often as it may be and came to no
    end kills whoever takes it: it is sealed as failed, and kept among the dead letters. Its last
    chance it has alone, so that it takes nothing else with it.

    Parameters
    ----------
    lost
        Ids of what is known to have died with its process; of all else only time tells. What died
        in company although it was sent alone last, died of an older message: messages come twice.
        That does not count.
    """
    now, waiting = desk.clock.now(), decisions.unsealed(desk.store)
    late = [Draft(context=one.context) for one in waiting if one.context.deadline < now]
    desk.seal(late)
    through = _through(desk)
    alone = len(lost) == 1
    gone = [
        one
        for one in waiting
        if one.context.deadline >= now
        and (
            one.sent_at < through
            or (one.context.id in lost and (alone or one.attempts < ATTEMPTS - 1))
        )
    ]
    for one in gone:
        if one.attempts >= ATTEMPTS - 1:
            _bury(desk, one.context, now)
    first = [one.context for one in gone if one.attempts < ATTEMPTS - 2]
    last = [[one.context] for one in gone if one.attempts == ATTEMPTS - 2]
    return ([first] if first else []) + last


def _through(desk: Desk) -> datetime:
    """Return the moment before which everything that was sent must have come to its end.

    A queue is worked off in order. What was sent before a pulse that came through was taken before
    it, and that four times, once for each hop. So nothing counts as lost while nobody works, or
    while much is to be done: published again then, it would only wait twice.
    """
    pulse = newest(desk.store, DECISION)
    if pulse is None or pulse.sent is None:
        return NEVER
    return pulse.at - LOST - PASSES * (pulse.at - pulse.sent)


def abandoned(desk: Desk) -> list[Job]:
    """Return the jobs that came to no end: those to be published again, and those given up.

    What is given up is kept among the dead letters.
    """
    pulse = newest(desk.store, TRAINING)
    through = None if pulse is None else pulse.sent
    found = jobs.lost(desk.store, desk.wall.now(), through or NEVER)
    for job in found:
        if job.stands is Stands.FAILED:
            asked = {"args": [], "kwargs": job.kwargs}
            told = JOBS[job.kind], TRAINING, asked, job.why, job.attempts, desk.clock.now()
            dead.bury(desk.store, *told)
    return found


def _bury(desk: Desk, context: Context, now: datetime) -> None:
    why = f"{ATTEMPTS} attempts, and none came to an end"
    told = {"decision": context.id, "bot": context.bot.name, "symbol": context.symbol}
    work = dead.Work("decision", DECISION, told, ATTEMPTS)
    decisions.fail(desk.store, context, why, now, work)


def sent(desk: Desk, contexts: Sequence[Context]) -> None:
    """Count one more attempt of what was just published again.

    Counted afterwards: what a broker that is away did not take was no attempt.
    """
    decisions.again(desk.store, [context.id for context in contexts], desk.wall.now())
