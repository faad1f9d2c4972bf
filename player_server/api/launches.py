"""POST /api/v1/launches:redeem: the exam service makes sure that a launch is genuine, and used once."""

from __future__ import annotations

from typing import Annotated

import msgspec

from player_server.auth.service_clients import Scope
from player_server.learning.eligibility import rfc3339
from player_server.learning.exam_launch import Refused, redeem
from player_server.web.operations import Call, Operation, Reply
from player_server.web.problems import Problem

_DETAILS = {
    Refused.UNKNOWN: "There is no such launch, or it has expired. The learner presses the button again.",
    Refused.USED: "This launch was redeemed before.",
}


class RedeemRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`launch`: the parameter of this name that the learner's browser brought."""

    launch: Annotated[str, msgspec.Meta(max_length=4000)]


class LaunchAnswer(msgspec.Struct, frozen=True):
    """Who was sent, for which enrolment. Whether they may sit the exam is still eligibility's to say."""

    learner: int
    institution: int
    enrolment: int
    programme: str
    launched_at: str


async def _redeem(call: Call) -> Reply:
    wanted: RedeemRequest = call.body
    done = await redeem(call.services, call.client, wanted.launch, address=call.address)
    if isinstance(done, Refused):
        raise Problem(404 if done is Refused.UNKNOWN else 409, done.value, _DETAILS[done])
    return Reply(
        LaunchAnswer(
            done.learner_id, done.institution_id, done.enrolment_id, done.programme, rfc3339(done.created_at)
        )
    )


REDEEM = Operation(
    method="POST",
    path="/api/v1/launches:redeem",
    name="redeem_launch",
    summary="Redeem the launch that a learner brings",
    handler=_redeem,
    scope=Scope.LAUNCHES,
    body=RedeemRequest,
    answers={200: LaunchAnswer},
    problems={404: "Forged, expired, or not for this client.", 409: "Redeemed before."},
)
