"""The keys that the server signs with, for others to verify: Ed25519, in one file of the keys folder, with
rotation.

What belongs here: which key signs now, which keys others may still verify with, and the file. What is signed stands
in `auth/signing.py`. The file is looked at before each use, so that `./run rotate-keys` needs no restart.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FILE = "signing-keys.json"
#: How long others may keep the list of keys without asking again. A new key is announced that long before it signs.
ANNOUNCED_S = 300
#: Nothing that we sign is good for longer. An old key is published that long after its last signature.
LONGEST_LIFE_S = 3600
#: For clocks that differ, and for the moment between reading the file and signing.
MARGIN_S = 60


class _Stored(msgspec.Struct, frozen=True):
    """One key in the file: `seed` in hex, times in UTC seconds. `until` None: no later key has been made."""

    kid: str
    seed: str
    signs_from: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`kid` is the RFC 7638 thumbprint of the public key."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey
    x: str  # the public key in base64url, as in a JWK
    signs_from: int
    until: int | None


class SigningKeys:
    """The keys of one folder. Times are UTC seconds of the wall clock: they are compared by other companies too."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._stamp: tuple[int, int] | None = None
        self._keys: tuple[SigningKey, ...] = ()

    def current(self, now_s: float) -> SigningKey:
        """The key that signs now; the first one is made on first use."""
        keys = self._read() or self._make_first()
        signing = [each for each in keys if each.signs_from <= now_s]
        return (signing or keys)[-1]

    def public(self, kid: object, now_s: float) -> Ed25519PublicKey | None:
        """The key of this name if it may still be verified with. Names are only ever looked up among our own."""
        return next((each.public for each in self._valid(now_s) if each.kid == kid), None)

    def jwks(self, now_s: float) -> dict[str, list[dict[str, str]]]:
        """The JWK set that others verify with: keys that sign, signed lately or will sign soon."""
        self.current(now_s)
        return {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": each.kid, "x": each.x}
                for each in self._valid(now_s)
            ]
        }

    def rotate(self, now_s: float, *, at_once: bool = False) -> SigningKey:
        """Make a new key and return it. The old one signs until the new one has been published for ANNOUNCED_S, and
        verifies until everything that it signed has expired. `at_once`: for a key that leaked; every older key is
        gone in this moment, and with them all that they signed."""
        self.current(now_s)
        with self._locked():
            stored = (
                [] if at_once else [each for each in self._stored() if each.until is None or each.until > now_s]
            )
            starts = int(now_s) if at_once else int(now_s) + ANNOUNCED_S + MARGIN_S
            ends = starts + LONGEST_LIFE_S + MARGIN_S
            kept = [each if each.until else msgspec.structs.replace(each, until=ends) for each in stored]
            new = _new(starts)
            self._write([*kept, new])
        return self._read()[-1]

    def _valid(self, now_s: float) -> list[SigningKey]:
        return [each for each in self._read() if each.until is None or each.until > now_s]

    def _read(self) -> tuple[SigningKey, ...]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return ()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._keys = tuple(_open(each) for each in self._stored())
            self._stamp = stamp
        return self._keys

    def _make_first(self) -> tuple[SigningKey, ...]:
        with self._locked():
            if not self._path.exists():
                self._write([_new(0)])
        return self._read()

    def _stored(self) -> list[_Stored]:
        return msgspec.json.decode(self._path.read_bytes(), type=list[_Stored])

    def _write(self, keys: list[_Stored]) -> None:
        """The whole file or nothing, readable by its owner only."""
        draft = self._path.with_name(f".{FILE}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys), indent=1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over all processes of this machine."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _new(signs_from: int) -> _Stored:
    private = Ed25519PrivateKey.generate()
    return _Stored(_kid(_x(private)), private.private_bytes_raw().hex(), signs_from)


def _open(stored: _Stored) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(stored.seed))
    return SigningKey(stored.kid, private, private.public_key(), _x(private), stored.signs_from, stored.until)


def _x(private: Ed25519PrivateKey) -> str:
    return _base64url(private.public_key().public_bytes_raw())


def _kid(x: str) -> str:
    return _base64url(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest())


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
