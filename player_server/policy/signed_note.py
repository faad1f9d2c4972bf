"""Signed notes and checkpoints in the forms of C2SP (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), with Ed25519.

What belongs here: text in, text out. Where keys and notes are kept is not.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from player_server.policy.merkle import HASH_BYTES

#: The signature algorithm's number in the forms below.
_ED25519 = b"\x01"
_DASH = "— "
_PRIVATE = "PRIVATE+KEY+"


class NoteError(ValueError):
    """The note or key is not what it must be; the message says why."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name: what a note's signature is checked with."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    def text(self) -> str:
        """The key on one line: name+id+base64."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.key).decode()}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name. `seed`: 32 bytes."""

    name: str
    seed: bytes

    def verifier(self) -> Verifier:
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return Verifier(self.name, key.public_bytes_raw())

    def text(self) -> str:
        """The key on one line, for its file."""
        return f"{_PRIVATE}{self.name}+{self.verifier().key_id.hex()}+{b64encode(_ED25519 + self.seed).decode()}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How long the log of `origin` was, and its root then."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def read_verifier(text: str) -> Verifier:
    """A public key from its line. Raises NoteError."""
    name, key_id, key = _parts(text.strip())
    found = Verifier(name, key)
    if found.key_id.hex() != key_id:
        raise NoteError("the public key does not fit its own id")
    return found


def read_signer(text: str) -> Signer:
    """A private key from its line. Raises NoteError."""
    line = text.strip()
    if not line.startswith(_PRIVATE):
        raise NoteError("this is no private key of a signed note")
    name, key_id, seed = _parts(line.removeprefix(_PRIVATE))
    found = Signer(name, seed)
    if found.verifier().key_id.hex() != key_id:
        raise NoteError("the private key does not fit its own id")
    return found


def _parts(line: str) -> tuple[str, str, bytes]:
    name, _, rest = line.partition("+")
    key_id, _, encoded = rest.partition("+")
    key = _base64(encoded)
    if not _is_name(name) or key[:1] != _ED25519 or len(key) != 1 + 32:
        raise NoteError("this is no Ed25519 key of a signed note")
    return name, key_id, key[1:]


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not valid base64") from None


def sign(text: str, signer: Signer) -> str:
    """The note: the text, which ends with a line's end, an empty line, and the signature."""
    if not text.endswith("\n") or "\r" in text:
        raise NoteError("a note's text consists of whole lines")
    signature = Ed25519PrivateKey.from_private_bytes(signer.seed).sign(text.encode())
    mark = b64encode(signer.verifier().key_id + signature).decode()
    return f"{text}\n{_DASH}{signer.name} {mark}\n"


def open_note(note: str, verifier: Verifier) -> str:
    """The text of a note that this key has signed; signatures of others are passed over. Raises NoteError."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("this is no signed note")
    text += "\n"
    for line in signatures.splitlines():
        if not line.startswith(_DASH):
            raise NoteError("this is no signed note")
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        mark = _base64(encoded)
        if name != verifier.name or mark[:4] != verifier.key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(verifier.key).verify(mark[4:], text.encode())
        except InvalidSignature:
            raise NoteError(f"the signature of {name} is wrong") from None
        return text
    raise NoteError(f"the note is not signed by {verifier.name}")


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """The checkpoint of a note that this key has signed. Raises NoteError."""
    lines = open_note(note, verifier).split("\n")
    if len(lines) < 4 or not lines[1].isascii() or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise NoteError("this is no checkpoint")
    root = _base64(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("this is no checkpoint")
    if lines[0] != verifier.name:
        raise NoteError(f"the checkpoint is of {lines[0]}, not of {verifier.name}")
    return Checkpoint(lines[0], int(lines[1]), root)
