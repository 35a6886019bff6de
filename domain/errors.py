"""What can go wrong, and what happens then.

OmegaError
├── SettingsError        a setting is wrong or misspelt         -> refuse to start, exit 3
├── DataError            the market data cannot be trusted      -> hold
│   ├── FeatureMismatch
│   └── ForeignFile      a file is not what it should be        -> refuse it, exit 1
├── ModelError           a model cannot be used                 -> hold, keep the champion
│   ├── InsufficientData
│   └── Unavailable      its data or its library is not here     -> get it
├── Refused              a person asked for what is not allowed -> say why, exit 2
├── IntegrityError       a hash or the audit chain is broken    -> stop, exit 6
├── TimedOut             nobody answered in time                -> hold, exit 7
└── Transient            the outside world is busy              -> retried with backoff, exit 5
"""

from typing import ClassVar


class OmegaError(Exception):
    """Base of every error raised on purpose. `exit_code` is what a verb ends with."""

    exit_code: ClassVar[int] = 1


class SettingsError(OmegaError):
    """A setting is wrong or misspelt."""

    exit_code = 3


class DataError(OmegaError):
    """The market data cannot be trusted."""


class FeatureMismatch(DataError):
    """The features are not the ones the model was trained on."""


class ForeignFile(DataError):
    """A file is not what it should be; the message says what was expected."""


class ModelError(OmegaError):
    """A model cannot be used."""


class InsufficientData(ModelError):
    """Too few samples, or only one class, to learn from."""


class Unavailable(ModelError):
    """What a model is about, or trained with, is not here; the message says what to do."""


class Refused(OmegaError):
    """A person asked for something that is not allowed; the message says what to do instead."""

    exit_code = 2


class IntegrityError(OmegaError):
    """A hash, a signature or the audit chain does not hold."""

    exit_code = 6


class TimedOut(OmegaError):
    """No answer came in time; what was asked was closed as a HOLD."""

    exit_code = 7


class Transient(OmegaError):
    """The outside world is busy or away; trying again may help."""

    exit_code = 5
