"""Signed notes: the example of Go's package `note`, which the form comes from, and what is refused."""

from __future__ import annotations

import pytest

from player_server.policy.merkle import EMPTY_ROOT
from player_server.policy.signed_note import (
    Checkpoint,
    NoteError,
    Signer,
    open_checkpoint,
    open_note,
    read_signer,
    read_verifier,
    sign,
)

# golang.org/x/mod/sumdb/note, example_test.go.
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
SIGNER = Signer("xueshi.example/ledger", bytes(range(32)))
OTHER = Signer("xueshi.example/ledger", bytes(32))


def test_the_example_of_gos_package() -> None:
    text = NOTE.partition("\n\n")[0] + "\n"
    assert sign(text, read_signer(PRIVATE)) == NOTE
    assert open_note(NOTE, read_verifier(PUBLIC)) == text
    assert read_signer(PRIVATE).verifier().text() == PUBLIC
    assert read_signer(PRIVATE).text() == PRIVATE


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    point = Checkpoint(SIGNER.name, 7, EMPTY_ROOT)
    note = sign(point.text(), SIGNER)
    assert note.startswith("xueshi.example/ledger\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— ")
    assert open_checkpoint(note, SIGNER.verifier()) == point
    # A witness may sign beside us.
    assert open_checkpoint(note + sign(point.text(), OTHER).splitlines()[-1] + "\n", SIGNER.verifier()) == point


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda note: note.replace("\n7\n", "\n8\n"), "signature .* is wrong"),
        (lambda note: note.rpartition("— ")[0], "no signed note"),
        (lambda note: sign(note.partition("\n\n")[0] + "\n", OTHER), "not signed by"),
        (lambda note: "", "no signed note"),
        (lambda note: sign("one line\n", SIGNER), "no checkpoint"),
        (lambda note: sign(note.replace("7", "07").partition("\n\n")[0] + "\n", SIGNER), "no checkpoint"),
        (lambda note: sign(Checkpoint("elsewhere", 7, EMPTY_ROOT).text(), SIGNER), "of elsewhere"),
    ],
)
def test_what_is_not_signed_so_is_refused(change: object, why: str) -> None:
    note = sign(Checkpoint(SIGNER.name, 7, EMPTY_ROOT).text(), SIGNER)
    with pytest.raises(NoteError, match=why):
        open_checkpoint(change(note), SIGNER.verifier())  # type: ignore[operator]


def test_broken_keys_are_refused() -> None:
    for text in ("", "a+b+c", PUBLIC.replace("c74f", "c74e"), PUBLIC[:-8], PRIVATE):
        with pytest.raises(NoteError):
            read_verifier(text)
    for text in (PUBLIC, PRIVATE.replace("AYEK", "AYEL")):
        with pytest.raises(NoteError):
            read_signer(text)
    with pytest.raises(NoteError, match="whole lines"):
        sign("no end", SIGNER)
