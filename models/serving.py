"""The champions, in memory, and how they are kept current."""

from collections.abc import Callable
from typing import Protocol

from domain.decision import Context, Prediction
from domain.errors import DataError, IntegrityError, ModelError
from domain.version import Version
from models.base import FROM_MODELS, Artifact, of_market
from models.batch import Batch
from models.onnx import Served


class Loader(Protocol):
    """Where champions come from. `models` knows no database; it is handed one of these."""

    def epoch(self) -> int:
        """Return a number that rises whenever any champion changes. Asked at every answer."""

    def champion(self, model: str) -> Version | None:
        """Return the champion of a model, None while it has none."""

    def artifact(self, version: Version) -> bytes:
        """Return an artifact's bytes; `IntegrityError` if they are not those that were stored."""


class Champions:
    """Answers of the champions, for one process.

    At each answer the loader's epoch is compared; when it has moved, the champions that changed
    are built, tested on their golden rows and only then put in the place of their predecessors.
    One that fails leaves its predecessor in place and the reason in `refused`. A model that has
    no champion any more stops answering.

    A `Transient` error of the loader passes through, and the next answer tries again.

    Parameters
    ----------
    loader
        Where champions come from.
    schema_hash
        Given the names of market features, the hash of how they are computed today. With it, an
        artifact that was trained on features computed in another way is refused.
    unavailable
        Given a model that has no champion, says what must be imported before it can have one; ""
        where nothing must.
    """

    def __init__(
        self,
        loader: Loader,
        schema_hash: Callable[[tuple[str, ...]], str] | None = None,
        unavailable: Callable[[str], str] = lambda model: "",
    ) -> None:
        self.refused: dict[str, str] = {}
        """Model to the reason why its registered champion is not the one that answers."""
        self._loader = loader
        self._schema_hash = schema_hash
        self._unavailable = unavailable
        self._lacking: dict[str, str] = {}
        self._epoch: int | None = None
        self._ready: dict[str, Served] = {}
        self._asked: frozenset[str] = frozenset()
        self._together: dict[tuple[str, ...], tuple[Batch, ...]] = {}

    def versions(self) -> dict[str, str]:
        """Return model to version of the champions that answer now."""
        return {name: served.version for name, served in self._ready.items()}

    def needs(self, models: tuple[str, ...]) -> frozenset[str]:
        """Return the market features that the champions of these models are asked with.

        Of models that one of these hears, too.
        """
        self._refresh(models)
        batches = self._batches(models)
        served = (one for batch in batches for one in batch.served)
        return frozenset(of_market(f for one in served for f in one.artifact.features))

    def answer(self, context: Context) -> tuple[Prediction, ...]:
        """Return one prediction for each model of the bot, in its order.

        A model abstains (probability None, with the reason) when it has no champion, when one of
        its features is unknown, when the input is like nothing it learned from, and when its
        answer is no probability.
        """
        asked = context.bot.models
        self._refresh(asked)
        known = context.features | context.bot.facts()
        said: dict[str, Prediction] = {}
        for batch in self._batches(asked):
            for served, answer in zip(batch.served, batch.answer(known), strict=True):
                name, p = served.artifact.model, answer.probability
                about = {} if p is None else served.about(context.bot.distance)
                said[name] = Prediction(
                    model=name,
                    version=served.version,
                    target=served.artifact.target,
                    probability=p,
                    low=answer.low,
                    high=answer.high,
                    reason=answer.reason,
                    facts=about | (answer.told or {}),
                    why=answer.why,
                )
            for feature, name in FROM_MODELS.items():
                if name in said and (p := said[name].probability) is not None:
                    known[feature] = p
        return tuple(said.get(name) or self._nobody(name) for name in asked)

    def _batches(self, asked: tuple[str, ...]) -> tuple[Batch, ...]:
        """Return who of these can answer, those that others of them hear in a batch before."""
        together, ready = self._together, self._ready  # in this order, see `_refresh`
        if asked not in together:
            there = [ready[name] for name in asked if name in ready]
            used = {feature for one in there for feature in one.artifact.features}
            heard = [name for feature, name in FROM_MODELS.items() if feature in used]
            first = [ready[name] for name in heard if name in ready]
            rest = [one for one in there if one not in first]
            together[asked] = tuple(Batch(some) for some in (first, rest) if some)
        return together[asked]

    def _nobody(self, name: str) -> Prediction:
        why = self.refused.get(name) or self._missing(name)
        return Prediction(model=name, version="none", target="none", probability=None, reason=why)

    def _missing(self, name: str) -> str:
        # once an epoch: a scan asks twenty times for what needs an extra, at 35 us each
        if name not in self._lacking:
            self._lacking[name] = self._unavailable(name)
        if lacking := self._lacking[name]:
            return f"unavailable: {lacking}"
        return f"no champion; train one with `omega train {name}`"

    def _refresh(self, models: tuple[str, ...]) -> None:
        epoch = self._loader.epoch()
        asked = self._asked.union(models, FROM_MODELS.values())
        if epoch == self._epoch and asked == self._asked:
            return
        ready, refused = dict(self._ready), dict(self.refused)
        for name in asked if epoch != self._epoch else asked - self._asked:
            refused.pop(name, None)
            version = self._loader.champion(name)
            if version is None:
                ready.pop(name, None)
            elif name not in ready or ready[name].version != version.version:
                try:
                    ready[name] = self._build(version)
                except (ModelError, IntegrityError, DataError) as error:
                    refused[name] = f"{version.version}: {error}"
        # Only now, and each in one step: other threads see the old champions or the new ones. The
        # batches come last, so that whoever finds the new ones empty fills them with new champions.
        self._ready, self.refused, self._lacking, self._together = ready, refused, {}, {}
        self._epoch, self._asked = epoch, asked

    def _build(self, version: Version) -> Served:
        content = self._loader.artifact(version)
        served = Served(Artifact.from_bytes(content, version.sha256))
        artifact = served.artifact
        if (artifact.model, served.version) != (version.model, version.version):
            raise IntegrityError(
                f"the artifact is {artifact.model} {served.version}, "
                f"not {version.model} {version.version}"
            )
        today = self._schema_hash and self._schema_hash(of_market(artifact.features))
        if today is not None and artifact.schema_hash != today:
            raise ModelError("its features are computed in another way today; train it again")
        served.self_test()
        return served
