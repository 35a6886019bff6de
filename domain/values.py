"""Building blocks of the vocabulary."""

import json
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

FloatArray = NDArray[np.floating[Any]]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
"""A chance, 0 to 1."""
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share of something, 0 to 1 (never a percentage)."""
Scale = Annotated[float, Field(ge=0.0, le=1.0)]
"""What a layer multiplies the size by. No layer may enlarge."""
Dollars = float
Points = float
"""A price per unit of the underlying: index points, or dollars a share."""


class Value(BaseModel):
    """An immutable fact. Same fields, same value; safe to share, queue and store."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Action(StrEnum):
    """What to do with one symbol. A model or a decision says exactly one of them.

    For a structure that is neutral on price, SELL means sell premium (a credit is received).
    """

    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"


class Env(StrEnum):
    """Where a decision was taken, and so what its money is."""

    REPLAY = "replay"
    """History in virtual time."""
    PLAYBACK = "playback"
    """Packaged history asked as if it were now."""
    PAPER = "paper"
    """A configured feed, simulated fills."""


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, UTF-8, no NaN.

    Follows RFC 8785 in all that these values use (floats print in their shortest form).

    Examples
    --------
    >>> canonical({"b": 1.5, "a": [True, None]})
    '{"a":[true,null],"b":1.5}'
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """Return the SHA-256, in hex, of a value's canonical JSON."""
    return sha256(canonical(value).encode()).hexdigest()
