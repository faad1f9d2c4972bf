"""Resident identity numbers of mainland China: 18 characters as in GB 11643-1999."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Literal

LENGTH = 18

Fault = Literal["length", "characters", "date", "checksum"]

# GB 11643: the weight of position i is 2 to the power of (17 - i), modulo 11; the last character makes the sum 1.
_WEIGHTS = tuple(pow(2, 17 - index, 11) for index in range(17))
_CHECK_CHARACTERS = "10X98765432"


class IdNumberError(ValueError):
    """This text is no ID number; `fault` says why. The message never holds the text."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"not a resident ID number: {fault}")
        self.fault: Fault = fault


def normalise_id_number(text: str) -> str:
    """The same number as people and spreadsheets write it: full-width digits, spaces, a small x."""
    plain = unicodedata.normalize("NFKC", text)
    # Sheets bring invisible characters along (a zero-width space, a text mark), which are of the kind "Cf".
    return "".join(
        character for character in plain if not character.isspace() and unicodedata.category(character) != "Cf"
    ).upper()


def check_id_number(text: str) -> str:
    """The normalised number. Raises IdNumberError unless form, birth date and check character are right."""
    number = normalise_id_number(text)
    if len(number) != LENGTH:
        raise IdNumberError("length")
    body, last = number[:-1], number[-1]
    if not (number.isascii() and body.isdigit() and (last.isdigit() or last == "X")) or body[0] == "0":
        raise IdNumberError("characters")
    _birth_date(number)
    if last != check_character(body):
        raise IdNumberError("checksum")
    return number


def check_character(body: str) -> str:
    """The eighteenth character that belongs to these seventeen digits."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, body, strict=True))
    return _CHECK_CHARACTERS[total % 11]


def mask_id_number(number: str) -> str:
    """`320102199003077896` → `320102********7896`; anything that is not of that length is hidden whole."""
    if len(number) != LENGTH:
        return "*" * LENGTH
    return f"{number[:6]}{'*' * 8}{number[-4:]}"


def _birth_date(number: str) -> date:
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise IdNumberError("date") from None
    if not 1900 <= born.year <= 2099:
        raise IdNumberError("date")
    return born
