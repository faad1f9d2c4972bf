"""Every message and close code of `xueshi.watch.v1`. The wire in one file; docs/protocol.md is tested against it.

Positions and durations on the wire are seconds as decimal numbers; inside they are integer milliseconds.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Annotated, Literal

import msgspec

SUBPROTOCOL = "xueshi.watch.v1"

#: A frame larger than this many bytes is refused with 1009: the largest honest message has under 200.
MAX_FRAME_BYTES = 64 * 1024

#: A video's number in the catalogue; what no database could hold is no message.
VideoId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Position = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Event = Literal["tick", "play", "pause", "seek", "ended", "visibility", "stall"]


class Hello(msgspec.Struct, tag_field="type", tag="hello", frozen=True, gc=False):
    """Asks to become the player of `video`. `session` proves to be the same page as before."""

    video: VideoId
    session: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    takeover: bool = False


class Beat(msgspec.Struct, tag_field="type", tag="beat", frozen=True, gc=False):
    """What the page sees. Only `seq`, `position`, `playing` and `rewind` are used for counting."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    position: Position
    playing: bool
    event: Event = "tick"
    rate: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 1.0
    visible: bool = True
    rewind: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None


class Bye(msgspec.Struct, tag_field="type", tag="bye", frozen=True, gc=False):
    """The page goes away and gives the player back."""


ClientMessage = Hello | Beat | Bye


class Uncredited(msgspec.Struct, frozen=True, gc=False):
    """Time that passed and does not count, with its reason."""

    seconds: float
    reason: str


class ChallengeNotice(msgspec.Struct, tag_field="type", tag="challenge", frozen=True, gc=False):
    """An open challenge, or one whose window passed (`missed`). Nothing counts until one is answered."""

    id: str
    kind: Literal["identity", "attendance"]
    qr: str
    deadline: float
    rotate: float
    renew: str
    missed: bool = False
    link: str | None = None
    tap: str | None = None


class Welcome(msgspec.Struct, tag_field="type", tag="welcome", frozen=True, gc=False):
    session: str
    epoch: int
    video: int
    duration: float
    frontier: float
    position: float
    watched: bool
    credited: bool
    beat_every: float
    gap_grace: float
    max_rate: float
    recovered: bool
    challenge: ChallengeNotice | None
    quiz: str | None = None


class Ack(msgspec.Struct, tag_field="type", tag="ack", frozen=True, gc=False):
    """Durable: everything up to `seq` survives any crash."""

    seq: int
    frontier: float
    watched: bool
    wait: float | None = None
    uncredited: Uncredited | None = None


class Rewind(msgspec.Struct, tag_field="type", tag="rewind", frozen=True, gc=False):
    id: int
    to: float
    reason: str


class Resume(msgspec.Struct, tag_field="type", tag="resume", frozen=True, gc=False):
    """The challenge was answered; go on from `position`."""

    position: float


class Busy(msgspec.Struct, tag_field="type", tag="busy", frozen=True, gc=False):
    """Another page plays, for `since` seconds. `policy` says whether a takeover may be asked for."""

    since: float
    device: str
    policy: Literal["ask", "refuse"]


class Watched(msgspec.Struct, tag_field="type", tag="watched", frozen=True, gc=False):
    """The video is fully watched. `quiz` is where its questions are, null if it has none."""

    quiz: str | None
    credited: bool


class Credited(msgspec.Struct, tag_field="type", tag="credited", frozen=True, gc=False):
    """Hours of this video were credited while the page is open."""

    video: int
    hours: str


class Error(msgspec.Struct, tag_field="type", tag="error", frozen=True, gc=False):
    code: str
    message: str
    retry: bool


ServerMessage = Welcome | Ack | Rewind | ChallengeNotice | Resume | Busy | Watched | Credited | Error


class Retry(Enum):
    """What a client may do after a close."""

    NEVER = "do not reconnect"
    SIGN_IN = "log in again"
    AT_ONCE = "reconnect"
    JITTER = "reconnect with jitter"
    BACK_OFF = "reconnect with back-off"


class Close(IntEnum):
    """Every close code the server uses; `CLOSE_RULES` says what each means for the client."""

    RESTART = 1012
    TRY_LATER = 1013
    PROTOCOL_ERROR = 4000
    DISPLACED = 4001
    BUSY = 4002
    NOT_ALLOWED = 4003
    NO_COURSE = 4004
    SILENT = 4008
    SLOW_READER = 4009


CLOSE_RULES: dict[Close, tuple[Retry, str]] = {
    Close.RESTART: (Retry.JITTER, "the server restarts"),
    Close.TRY_LATER: (Retry.BACK_OFF, "the server cannot decide now"),
    Close.PROTOCOL_ERROR: (Retry.NEVER, "the client broke the protocol"),
    Close.DISPLACED: (Retry.NEVER, "another page plays now"),
    Close.BUSY: (Retry.NEVER, "another page plays and was not taken over"),
    Close.NOT_ALLOWED: (Retry.SIGN_IN, "not allowed any more"),
    Close.NO_COURSE: (Retry.NEVER, "unknown or closed course"),
    Close.SILENT: (Retry.AT_ONCE, "silent too long, or replaced by the same page's newer socket"),
    Close.SLOW_READER: (Retry.AT_ONCE, "too slow a reader"),
}

decode_client = msgspec.json.Decoder(ClientMessage).decode
encode = msgspec.json.Encoder().encode
