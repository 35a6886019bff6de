"""The audit key, and what is signed with it."""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from domain.errors import IntegrityError

NAME = "audit.key"


def load(home: Path) -> bytes:
    """Return the key that signs the audit chain; make it, readable by its owner alone, if new.

    Written aside and linked into place, so that of two processes that start at once both get the
    key of the one that came first, and none ever reads half of it.

    Raises
    ------
    IntegrityError
        The file holds no key.
    """
    file = home / NAME
    if not file.exists():
        fresh = home / f"{NAME}.{secrets.token_hex(8)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_hex(32))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass  # the other process came first; its key is the key
        finally:
            fresh.unlink()
    try:
        key = bytes.fromhex(file.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise IntegrityError(f"{file} holds no audit key; put the right one back from a copy")
    return key


def sign(key: bytes, *parts: object) -> str:
    """Return the HMAC-SHA256, in hex, of the parts joined by bars.

    Examples
    --------
    >>> sign(b"key", "v1", "fortress", 1)[:12]
    '33adce34f7e1'
    """
    return hmac.digest(key, "|".join(map(str, parts)).encode(), sha256).hex()
