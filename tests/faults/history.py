"""What the clients saw, in order, and what must be true of it afterwards. Pure: no process, no clock.

As in Jepsen an operation is invoked, and then is known to have happened (its ack came) or is unknown: the line
broke first, or the ack was dropped on purpose. What is unknown may or may not have happened; both are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: A video is watched from here on (telemetry.rules): positions beyond are clipped to the video's end.
Pair = tuple[int, int]


@dataclass
class Study:
    """One learner's study of one video. Frontiers in ms."""

    attempted_ms: int = 0  # the furthest position that was ever reported
    acked_ms: int = 0  # the furthest frontier that an ack which arrived has promised
    dropped_ms: int = 0  # … that an ack has promised which the client pretends not to have got
    watched: bool = False  # an ack said so
    began: float | None = None  # before the first hello, in seconds of the client's monotonic clock
    began_ms: int = 0  # the frontier of the first welcome

    def is_watched(self) -> bool:
        return self.watched


@dataclass
class History:
    """One client's. `began` and `ended` are seconds of the client's monotonic clock."""

    learner_id: int
    person_id: int
    studies: dict[int, Study] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)  # acks of more than the time since the first hello
    epochs: list[int] = field(default_factory=list)  # of every welcome, in the order in which they came
    beats: int = 0
    acks: int = 0
    unknown: int = 0  # beats whose ack never came
    unknown_durable: int = 0  # … and that turned out to have been stored
    lost: list[str] = field(default_factory=list)  # a welcome that knew less than an ack had promised
    unexpected: list[str] = field(default_factory=list)  # what an honest page is never told
    began: float | None = None
    ended: float = 0.0
    earned_at: float = 0.0  # when the last ack came

    def study(self, video_id: int) -> Study:
        return self.studies.setdefault(video_id, Study())


@dataclass(frozen=True, slots=True)
class Durable:
    """What the stores say after everything healed."""

    frontiers: Mapping[Pair, int]  # ms, by learner and video
    credits: Iterable[Pair]  # one element a ledger entry
    told: Iterable[Pair]  # one element a message about a credit
    api_hours: Mapping[int, int]  # hundredths, by learner: what the exam service is told
    ledger_hours: Mapping[int, int]  # hundredths, by learner
    watched_from_ms: int


@dataclass
class Verdict:
    """The figures of one campaign. `lost`, `phantom`, `double` and `epochs` must be empty."""

    attempted: int = 0
    acked: int = 0
    unknown: int = 0
    unknown_durable: int = 0
    credits: int = 0
    lost: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    epochs: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not (self.lost or self.phantom or self.double or self.epochs or self.unexpected)


def judge(histories: Iterable[History], durable: Durable, max_rate: float = 1.0) -> Verdict:
    """Compare what was seen with what is stored."""
    verdict = Verdict()
    credits, told = Counter(durable.credits), Counter(durable.told)
    verdict.credits = sum(credits.values())
    for history in histories:
        verdict.attempted += history.beats
        verdict.acked += history.acks
        verdict.unknown += history.unknown
        verdict.unknown_durable += history.unknown_durable
        verdict.unexpected += history.unexpected
        verdict.lost += history.lost
        verdict.phantom += history.early
        _studies(history, durable, credits, verdict)
        _time(history, durable, max_rate, verdict)
        for before, after in zip(history.epochs, history.epochs[1:], strict=False):
            if after <= before:
                verdict.epochs.append(f"person {history.person_id}: epoch {after} after {before}")
        shown, written = durable.api_hours.get(history.learner_id), durable.ledger_hours.get(history.learner_id, 0)
        if shown != written:
            verdict.lost.append(f"learner {history.learner_id}: the API shows {shown}, the ledger has {written}")
    for pair, times in credits.items():
        if times > 1:
            verdict.double.append(f"{pair}: credited {times} times")
        if told[pair] != times:
            verdict.double.append(f"{pair}: credited {times} times, told {told[pair]} times")
    return verdict


def _studies(history: History, durable: Durable, credits: Counter[Pair], verdict: Verdict) -> None:
    for video_id, study in history.studies.items():
        pair = (history.learner_id, video_id)
        stored = durable.frontiers.get(pair, 0)
        if stored < study.acked_ms:
            verdict.lost.append(f"{pair}: {study.acked_ms} ms were acknowledged, {stored} are stored")
        if stored < study.dropped_ms:
            verdict.lost.append(f"{pair}: {study.dropped_ms} ms were acknowledged unheard, {stored} are stored")
        if stored > study.attempted_ms:
            verdict.phantom.append(f"{pair}: {stored} ms are stored, {study.attempted_ms} were reported")
        if study.watched and not credits[pair]:
            verdict.lost.append(f"{pair}: was acknowledged as watched, and has no hours")
        if credits[pair] and stored < durable.watched_from_ms:
            verdict.phantom.append(f"{pair}: has hours, and only {stored} ms are stored")
    foreign = {pair for pair in credits if pair[0] == history.learner_id and pair[1] not in history.studies}
    verdict.phantom += [f"{pair}: has hours, and was never opened" for pair in foreign]


def _time(history: History, durable: Durable, max_rate: float, verdict: Verdict) -> None:
    """Nobody earns faster than time passes, over all videos and whatever happened to the servers."""
    if history.began is None:
        return
    earned = sum(ms for (learner_id, _video), ms in durable.frontiers.items() if learner_id == history.learner_id)
    passed = (history.ended - history.began) * 1000 * max_rate
    if earned > passed:
        verdict.phantom.append(f"learner {history.learner_id}: {earned} ms earned in {passed:.0f}")
