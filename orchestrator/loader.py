"""Where the champions come from: the registry, seen through the eyes of `models.serving`."""

from domain.version import Version
from storage import artifacts, registry
from storage.engine import Store


class Registry:
    """The registry as `Champions` wants it: what is live, and its bytes, hash-checked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._epoch: int | None = None

    def look(self) -> None:
        """Read the epoch anew. Done once per batch, so that one batch is decided by one set."""
        self._epoch = registry.epoch(self._store)

    def epoch(self) -> int:
        """Return a number that rises with every promotion and rollback."""
        if self._epoch is None:
            self.look()
        return self._epoch or 0

    def champion(self, model: str) -> Version | None:
        """Return the version that is live, or None."""
        return registry.champion(self._store, model)

    def artifact(self, version: Version) -> bytes:
        """Return the bytes of a version; `IntegrityError` when they are not what was stored."""
        return artifacts.get(self._store, version.sha256)
