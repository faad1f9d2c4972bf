"""Rules of challenges: kinds, windows, rotation, who may answer from where. Times: ms of the store's clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Kind = Literal["identity", "attendance"]
State = Literal["open", "expired", "answered", "missed"]

#: The current code and the one before it are good: a scan takes a few seconds, and the code may turn meanwhile.
FRESH_ROTATIONS = 1


class Answer(StrEnum):
    """Everything that can come of a code, a confirmation or a binding. Pages have a sentence for each."""

    CONFIRMED = "confirmed"
    ALREADY_CONFIRMED = "already_confirmed"
    LATE = "late"  # the window passed; the computer offers a new code
    UNKNOWN = "unknown"  # no code of ours
    STALE = "stale"  # a code of ours that has turned since; scan again
    COMPUTER = "computer"  # this browser plays the video, or could
    SAME_DEVICE_OFF = "same_device_off"  # a logged-in phone, where the operator wants a second device
    WRONG_LEARNER = "wrong_learner"  # this browser is logged in as somebody else
    WRONG_PHONE = "wrong_phone"  # enrolled for somebody else
    NOT_ENROLLED = "not_enrolled"  # enrolled for nobody
    PHONE_REUSED = "phone_reused"  # the second person that wanted to bind this phone
    MISMATCH = "mismatch"  # name or ID number (or, when re-binding, the password) are not the learner's
    TOO_MANY = "too_many"  # attempts; wait
    BOUND = "bound"  # the phone is enrolled anew; the confirmation is still to come


@dataclass(frozen=True, slots=True)
class ChallengeRules:
    """The operator's settings as the rules want them."""

    #: Time to answer an attendance check.
    answer_ms: int = 120_000
    #: Time to answer an identity check: name and ID number have to be typed.
    identity_answer_ms: int = 600_000
    #: The code turns this often.
    rotate_ms: int = 20_000
    #: Whether a phone that plays the video may also confirm.
    same_device: Literal["tap", "refuse"] = "tap"

    def window_ms(self, kind: Kind) -> int:
        """How long a challenge of this kind may be answered."""
        return self.identity_answer_ms if kind == "identity" else self.answer_ms

    def rotation(self, issued_at: int, now: int) -> int:
        """Which code is shown now, from 0."""
        return max(0, now - issued_at) // self.rotate_ms

    def is_fresh(self, rotation: int, issued_at: int, now: int) -> bool:
        """Whether a code of this rotation may still be opened."""
        return 0 <= self.rotation(issued_at, now) - rotation <= FRESH_ROTATIONS


def kind_for(has_phone: bool) -> Kind:
    """A person without a phone has to say who they are; everybody else only that they are there."""
    return "attendance" if has_phone else "identity"


def state_of(outcome: str | None, deadline: int, now: int) -> State:
    """`expired` is a window that passed and was not written down yet. The deadline itself is still in time."""
    if outcome == "answered":
        return "answered"
    if outcome == "missed":
        return "missed"
    return "open" if now <= deadline else "expired"


def refusal_of_browser(
    login_person_id: int | None, challenge_person_id: int, *, on_phone: bool, same_device: Literal["tap", "refuse"]
) -> Answer | None:
    """Why a browser may not answer this challenge whatever phone it holds; None if it may.

    A browser that is logged in could be the one that plays. On a computer that is never a second device; on a
    phone it is accepted for the learner's own challenge, because a phone has no second camera to scan itself.
    """
    if login_person_id is None:
        return None
    if not on_phone:
        return Answer.COMPUTER
    if login_person_id != challenge_person_id:
        return Answer.WRONG_LEARNER
    return None if same_device == "tap" else Answer.SAME_DEVICE_OFF


# Windows and macOS versions of WeChat also call themselves MicroMessenger, so that word is no sign of a phone.
_PHONE = re.compile(r"\b(iPhone|iPod|Android|HarmonyOS|OpenHarmony|Mobile|Phone)\b", re.IGNORECASE)


def is_phone(user_agent: str) -> bool:
    """Whether a browser says that it runs on a phone or tablet. It is the browser's word, no proof."""
    return _PHONE.search(user_agent) is not None
