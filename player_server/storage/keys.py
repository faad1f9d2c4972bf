"""The server's secrets: one root key in a file, from which each purpose gets a key of its own."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from cryptography.fernet import Fernet

from player_server.storage.signing_keys import SigningKeys

ROOT_BYTES = 32


class Keys:
    """Purpose-bound keys. The same root gives the same keys on every node.

    `signing` are those that others verify with; they lie beside the root key and are shared with it.
    """

    def __init__(self, root: bytes, folder: Path | None = None) -> None:
        if len(root) < ROOT_BYTES:
            raise ValueError(f"the root key must have at least {ROOT_BYTES} bytes")
        self._root = root
        self._signing = None if folder is None else SigningKeys(folder)
        self._fernet = Fernet(urlsafe_b64encode(self.derive("id-number encryption")))

    @property
    def signing(self) -> SigningKeys:
        """Raises RuntimeError for keys that were made without a folder."""
        if self._signing is None:
            raise RuntimeError("these keys have no folder, so there is nothing to sign with")
        return self._signing

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this purpose uses."""
        return hmac.digest(self._root, purpose.encode(), "sha256")

    def mac(self, purpose: str, message: str) -> str:
        """A keyed hash as 64 hex digits, for look-ups and for tokens that must not be guessed."""
        return hmac.new(self.derive(purpose), message.encode(), hashlib.sha256).hexdigest()

    def encrypt(self, text: str) -> str:
        """Encrypt an ID number for the database."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, cipher: str) -> str:
        """The reverse of `encrypt`."""
        return self._fernet.decrypt(cipher.encode()).decode()


def load_keys(folder: Path) -> Keys:
    """Read `root.key` of this folder, making it on first use (mode 0600). Losing it loses every ID number."""
    path = folder / "root.key"
    try:
        return Keys(bytes.fromhex(path.read_text().strip()), folder)
    except FileNotFoundError:
        pass
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = secrets.token_hex(ROOT_BYTES)
    temporary = folder / f".root.key.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # whoever is first wins; a second process reads the first one's key
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return Keys(bytes.fromhex(path.read_text().strip()), folder)
