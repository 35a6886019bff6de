"""From a context to a decision.

There is one pipeline. The backtest, the replay, the eager tests and the live workers all run the
layers below, in this order; they differ only in who supplies the context and the predictions.
"""

from collections.abc import Callable

from domain.decision import Context, Draft, OmegaDecision, Prediction
from orchestrator.layers.advisor import advisor
from orchestrator.layers.correlation import correlation
from orchestrator.layers.inference import inference
from orchestrator.layers.safety import safety
from orchestrator.layers.sizing import sizing

Predict = Callable[[Context], tuple[Prediction, ...]]

LAYERS = {
    "safety": safety,
    "inference": inference,
    "advisor": advisor,
    "correlation": correlation,
    "sizing": sizing,
}


def ask(draft: Draft, predict: Predict) -> Draft:
    """Return the draft with the champions' answers; a vetoed draft is not worth asking about.

    The only step that touches a model artifact.
    """
    if draft.vetoed:
        return draft
    return draft.model_copy(update={"predictions": predict(draft.context)})


def run(context: Context, predict: Predict) -> Draft:
    """Run every layer in this process and return the draft, not yet sealed.

    Parameters
    ----------
    context
        What may be known at `context.asof`.
    predict
        The champions' answers; a replay from the record passes the recorded ones instead.
    """
    draft = ask(safety(Draft(context=context)), predict)
    for name in ("inference", "advisor", "correlation", "sizing"):
        draft = LAYERS[name](draft)
    return draft


def decide(context: Context, predict: Predict) -> OmegaDecision:
    """Return what the pipeline decides, with one verdict per layer that was asked.

    Pure. What the desk records has one verdict more, of the seal, where the decision wants to
    trade.
    """
    return OmegaDecision.seal(run(context, predict))
