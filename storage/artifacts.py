"""Model artifacts: files named by the SHA-256 of their content, never by anything else.

The hash is proven before a single byte reaches a parser: a damaged model file crashes some
libraries and quietly loads in others.
"""

import os
import re
import secrets
from hashlib import sha256
from pathlib import Path

from domain.errors import IntegrityError, ModelError, Refused
from storage.engine import Store

_NAME = re.compile(r"[0-9a-f]{64}")


def _path(store: Store, sha: str) -> Path:
    if not _NAME.fullmatch(sha):
        raise Refused(f"{sha!r} names no artifact; an artifact is named by its SHA-256")
    return store.home / "artifacts" / sha[:2] / sha


def put(store: Store, content: bytes) -> str:
    """Store an artifact and return its SHA-256. The same content is stored once.

    Written beside its place and renamed, so that it is there whole or not at all.
    """
    sha = sha256(content).hexdigest()
    place = _path(store, sha)
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f"{sha}.{secrets.token_hex(8)}")
    with aside.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(place)
    return sha


def get(store: Store, sha: str) -> bytes:
    """Return an artifact, its hash proven.

    Raises
    ------
    ModelError
        There is none.
    IntegrityError
        The file was changed.
    """
    place = _path(store, sha)
    try:
        content = place.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"no artifact {sha[:12]}: train the model again, or roll back") from error
    if sha256(content).hexdigest() != sha:
        raise IntegrityError(
            f"{place} is not what its name says: roll the model back, keep the file"
        )
    return content
