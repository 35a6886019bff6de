"""Ready-made values for doctests and tests: a quiet Friday, and what can be changed about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.book import Book, Exposure, Mode, Scope, Switch
from domain.book import KillCode as Code
from domain.bot import Bot, Factor
from domain.decision import Context, Draft, Prediction, Proposal, Verdict, decision_id
from domain.market import Leg, Regime, Right, Surface, Trend, Vol
from domain.values import Action, Env

CLOSE = datetime(2017, 3, 3, 21, tzinfo=UTC)


def bot(**fields: Any) -> Bot:
    """Return a condor bot on SPX, with some fields replaced."""
    plain: dict[str, Any] = {
        "name": "fortress",
        "title": "FORTRESS",
        "strategy": "condor",
        "symbols": ("SPX",),
        "models": ("wisdom", "prophet-condor"),
        "features": ("vix_level",),
        "factor": Factor.VOLATILITY,
        "capital": 100_000.0,
        "risk_per_trade": 0.15,
        "kelly": 0.5,
        "max_open": 3,
        "max_daily": 3,
        "max_quantity": 75,
        "p_min": 0.42,
        "horizon": 5,
        "structures": ("iron_condor",),
        "distance": 1.2,
        "wing": 50.0,
        "strike_step": 5.0,
        "min_credit": 0.05,
        "profit_target": 0.5,
        "stop_multiple": 2.0,
    }
    return Bot(**(plain | fields))


def book(**fields: Any) -> Book:
    """Return the book of a bot that holds nothing."""
    flat: dict[str, Any] = {
        "equity": 100_000.0,
        "peak": 100_000.0,
        "day_pnl": 0.0,
        "desk_equity": 600_000.0,
        "allocation": 0.25,
    }
    return Book(**(flat | fields))


def regime(**fields: Any) -> Regime:
    """Return a calm, trendless regime ten bars old."""
    calm: dict[str, Any] = {
        "vol": Vol.CALM,
        "trend": Trend.CHOP,
        "gate": 0.54,
        "bars": 10,
        "vol_ratio": 1.0,
        "trend_z": 0.1,
    }
    return Regime(**(calm | fields))


def surface(**fields: Any) -> Surface:
    """Return the volatility surface of a quiet day."""
    quiet: dict[str, Any] = {
        "symbol": "SPX",
        "asof": CLOSE,
        "spot": 2383.0,
        "sigmas": {1: 0.07, 5: 0.08, 10: 0.085, 21: 0.089},
        "label": "simulated: Black-76, SPX+VIX term structure, skew",
    }
    return Surface(**(quiet | fields))


def context(**fields: Any) -> Context:
    """Return a context at the close of a quiet Friday, with some fields replaced."""
    quiet: dict[str, Any] = {
        "env": Env.PAPER,
        "bot": bot(),
        "symbol": "SPX",
        "bar": CLOSE,
        "asof": CLOSE,
        "deadline": CLOSE + timedelta(minutes=4),
        "due": CLOSE,
        "price": 2383.0,
        "features": {"vix_level": 11.0},
        "schema_hash": "0" * 12,
        "regime": regime(),
        "surface": surface(),
        "book": book(),
        "switches": {},
    }
    full = quiet | fields
    full.setdefault("id", decision_id(full["bot"].name, full["symbol"], full["bar"]))
    return Context(**full)


def proposal(**fields: Any) -> Proposal:
    """Return an iron condor worth proposing."""
    condor: dict[str, Any] = {
        "structure": "iron_condor",
        "action": Action.SELL,
        "factor": Factor.VOLATILITY,
        "side": -1,
        "legs": (
            Leg(right=Right.PUT, strike=2290.0, quantity=1),
            Leg(right=Right.PUT, strike=2340.0, quantity=-1),
            Leg(right=Right.CALL, strike=2425.0, quantity=-1),
            Leg(right=Right.CALL, strike=2475.0, quantity=1),
        ),
        "entry": 5.0,
        "max_loss": 4_560.0,
        "max_gain": 440.0,
        "costs": 60.0,
        "multiplier": 100.0,
        "horizon": 5,
        "distance": 1.2,
        "simulated": "simulated: Black-76, SPX+VIX term structure, skew",
    }
    return Proposal(**(condor | fields))


def prediction(
    probability: float | None = 0.9, model: str = "wisdom", **facts: float
) -> Prediction:
    """Return what a model says; the facts are those of a model worth asking."""
    return Prediction(
        model=model,
        version="0123456789ab",
        target="survives",
        probability=probability,
        facts={"base_rate": 0.83, "low": 0.68, "high": 0.78, "gain": 0.12, "loss": 0.5} | facts,
    )


def draft(action: Action = Action.SELL, quantity: int | None = None, **fields: Any) -> Draft:
    """Return a draft whose inference layer chose `action`, and `quantity` if one is given."""
    verdict = Verdict(
        layer="inference", action=action, probability=0.9, proposal=proposal(), quantity=quantity
    )
    return Draft(context=context(**fields)).add(verdict)


def exposure(**fields: Any) -> Exposure:
    """Return another bot's short-volatility position on SPX."""
    held: dict[str, Any] = {
        "id": "anchor-SPX-20170302T2100Z",
        "bot": "anchor",
        "symbol": "SPX",
        "factor": Factor.VOLATILITY,
        "side": -1,
        "risk": 20_000.0,
    }
    return Exposure(**(held | fields))


def switch(**fields: Any) -> Switch:
    """Return a kill switch that a person threw for everything."""
    thrown: dict[str, Any] = {
        "scope": Scope.ALL,
        "target": "*",
        "mode": Mode.HALTED,
        "code": Code.HUMAN,
        "reason": "drill",
        "who": "operator",
        "human": True,
        "set_at": CLOSE,
        "id": 1,
    }
    return Switch(**(thrown | fields))
