"""Who gets an access token, and which tokens are believed: the forgery set of issue 5."""

import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import ClientSession, encode_basic_auth, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select, update

from player_server.api import eligibility, oauth
from player_server.auth.service_clients import (
    ClientError,
    Scope,
    add_client,
    disable_client,
    new_key,
    new_secret,
    rotate_client,
)
from player_server.auth.service_tokens import make_access_token, make_client_proof
from player_server.learning.services import Services
from player_server.storage.tables import audit, service_client
from tests.support import school
from tests.support.clients import (
    PROOF,
    add_client_row,
    hmac_by_hand,
    private_pem,
    public_pem,
    segment,
    sign_by_hand,
)
from tests.support.doors import browser_of, open_doors
from tests.support.processes import until
from tests.support.services import close_services, make_services

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = f"{ISSUER}/api/v1"


@dataclass(frozen=True)
class Exam:
    """A client `exam` of institution `at`, and one learner there."""

    services: Services
    http: ClientSession
    at: int
    pupil: school.Pupil
    key: Ed25519PrivateKey

    async def token(self, basic: str = "", **form: str) -> tuple[int, dict[str, Any]]:
        fields = {"grant_type": "client_credentials", **form}
        headers = {"Authorization": basic} if basic else {}
        async with self.http.post("/api/v1/oauth/token", data=fields, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None)

    async def prove(self, proof: str, **form: str) -> tuple[int, dict[str, Any]]:
        return await self.token("", client_assertion_type=PROOF, client_assertion=proof, **form)

    async def ask(self, token: str | None) -> tuple[int, dict[str, Any]]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"/api/v1/eligibility/{self.pupil.learner_id}", headers=headers) as reply:
            kind = "application/json" if reply.status == 200 else "application/problem+json"
            assert reply.content_type == kind
            return reply.status, await reply.json(content_type=None)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Nothing here depends on the database."""
    return sqlite_url


@pytest_asyncio.fixture
async def exam(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Exam]:
    services = await make_services(database_url, valkey_url, tmp_path)
    at = await school.add_institution(services, "示例")
    pupil = await school.add_learner(services, at)
    key = await add_client_row(services, "exam", at)
    routes = [
        eligibility.ELIGIBILITY.route(),
        oauth.TOKEN.route(),
        web.get("/.well-known/jwks.json", oauth.jwks),
        web.get("/.well-known/oauth-authorization-server", oauth.metadata),
    ]
    async with open_doors(services, routes) as server, browser_of(services, server) as http:
        yield Exam(services, http, at, pupil, key)
    await close_services(services)


async def test_a_proof_gives_a_token_that_opens_the_interface(exam: Exam) -> None:
    status, answer = await exam.prove(make_client_proof(private_pem(exam.key), "exam", ISSUER))
    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 600)
    assert answer["scope"] == "eligibility events hours launches results"
    assert (await exam.ask(answer["access_token"]))[0] == 200
    async with exam.services.db.read() as conn:
        rows = (await conn.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.id))).all()
    assert ("client:exam", "token.grant") in [tuple(row) for row in rows]


async def test_a_proof_is_good_once_and_for_the_address_of_the_token_too(exam: Exam) -> None:
    proof = make_client_proof(private_pem(exam.key), "exam", f"{AUDIENCE}/oauth/token")
    assert (await exam.prove(proof))[0] == 200
    status, answer = await exam.prove(proof)
    assert (status, answer.get("error")) == (401, "invalid_client")


async def test_a_secret_works_in_the_body_and_in_the_header(exam: Exam) -> None:
    credential = new_secret()
    assert credential.secret is not None
    await add_client(exam.services, "plain", name="x", institution_id=exam.at, credential=credential)
    status, answer = await exam.token(client_id="plain", client_secret=credential.secret, scope="hours")
    assert (status, answer["scope"]) == (200, "hours")
    assert (await exam.ask(answer["access_token"]))[1]["code"] == "insufficient_scope"
    assert (await exam.token(encode_basic_auth("plain", credential.secret)))[0] == 200
    for wrong in ("", "x", credential.secret[:-1]):
        assert (await exam.token(client_id="plain", client_secret=wrong))[0] == 401
    assert (await exam.token(client_id="exam", client_secret=credential.secret))[0] == 401
    async with exam.services.db.read() as conn:
        row = (await conn.execute(select(service_client).where(service_client.c.id == "plain"))).one()
    assert credential.secret not in str(tuple(row))


@pytest.mark.parametrize("name", ["", "考试", "a b", "a\nb", "-x", "x" * 65])
async def test_an_id_that_nobody_could_type_or_log_is_refused(exam: Exam, name: str) -> None:
    with pytest.raises(ClientError, match="letters, digits"):
        await add_client(exam.services, name, name="x", institution_id=exam.at, credential=new_secret())


async def test_a_rotated_client_may_use_the_old_key_until_the_grace_is_over(exam: Exam) -> None:
    fresh, pem = new_key()
    await rotate_client(exam.services, "exam", fresh, grace_ms=3_600_000)
    for key in (private_pem(exam.key), pem):
        assert (await exam.prove(make_client_proof(key, "exam", ISSUER)))[0] == 200
    async with exam.services.db.write() as conn:
        await conn.execute(update(service_client).values(former_until=1))
    assert (await exam.prove(make_client_proof(private_pem(exam.key), "exam", ISSUER)))[0] == 401
    assert (await exam.prove(make_client_proof(pem, "exam", ISSUER)))[0] == 200


async def test_a_client_that_was_switched_off_is_refused_with_the_token_it_has(exam: Exam) -> None:
    token = make_access_token(exam.services, "exam", frozenset(Scope)).token
    assert (await exam.ask(token))[0] == 200
    await disable_client(exam.services, "exam")
    assert (await exam.prove(make_client_proof(private_pem(exam.key), "exam", ISSUER)))[0] == 401

    async def refused() -> bool:
        return (await exam.ask(token))[0] == 401

    await until(refused, timeout=5)


async def test_what_is_asked_for_wrongly_is_named(exam: Exam) -> None:
    for form, error in (
        ({"grant_type": "password"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"colour": "red"}, "invalid_request"),
        ({"client_assertion": "x"}, "invalid_request"),
    ):
        credential = {"client_id": "exam", "client_secret": "x"} if error != "invalid_scope" else {
            "client_assertion_type": PROOF,
            "client_assertion": make_client_proof(private_pem(exam.key), "exam", ISSUER),
        }  # fmt: skip
        status, answer = await exam.token("", **credential, **form)
        assert (status, answer.get("error")) == (400, error), form


async def test_the_documents_lead_from_the_issuer_to_the_keys(exam: Exam) -> None:
    async with exam.http.get("/.well-known/oauth-authorization-server") as reply:
        found = await reply.json()
    assert (found["issuer"], found["token_endpoint"]) == (ISSUER, f"{AUDIENCE}/oauth/token")
    async with exam.http.get("/.well-known/jwks.json") as reply:
        keys = (await reply.json(content_type=None))["keys"]
    assert all(set(key) == {"kty", "crv", "use", "alg", "kid", "x"} for key in keys)
    token = make_access_token(exam.services, "exam", frozenset(Scope)).token
    key = jwt.PyJWK(next(each for each in keys if each["kid"] == jwt.get_unverified_header(token)["kid"]))
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)["sub"] == "exam"


@pytest.mark.parametrize("changes", [
    {"aud": "other"}, {"aud": None}, {"iss": None}, {"iss": 1}, {"iss": "other"}, {"sub": "other"}, {"sub": None},
    {"exp": None}, {"exp": -60}, {"exp": 3600}, {"nbf": 600}, {"iat": 600}, {"exp": "soon"}, {"exp": [1]},
    {"exp": 1e308}, {"jti": None}, {"jti": 1},
])  # fmt: skip
async def test_a_right_signature_does_not_help_wrong_claims_of_a_proof(exam: Exam, changes: dict[str, Any]) -> None:
    proof = sign_by_hand(exam.key, {"alg": "EdDSA"}, claims_of_proof(changes))
    status, answer = await exam.prove(proof)
    assert (status, answer.get("error")) == (401, "invalid_client")


def claims_of_proof(changes: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    claims: dict[str, Any] = {"iss": "exam", "sub": "exam", "aud": ISSUER, "exp": now + 60, "jti": str(now)}
    # Whole numbers of times are seconds from now.
    moved = {
        name: now + value if name in ("exp", "iat", "nbf") and isinstance(value, int) else value
        for name, value in changes.items()
    }
    return {name: value for name, value in (claims | moved).items() if value is not None}


async def test_forged_proofs_are_refused(exam: Exam) -> None:
    mine, claims = Ed25519PrivateKey.generate(), claims_of_proof({})
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(mine.public_key()))
    await add_client_row(exam.services, "other", exam.at, mine)
    genuine = sign_by_hand(exam.key, {"alg": "EdDSA"}, claims)
    head, body, signature = genuine.split(".")
    forgeries = {
        "alg none": f"{segment({'alg': 'none'})}.{body}.",
        "no signature": f"{head}.{body}.",
        "other claims": f"{head}.{segment(claims | {'jti': 'x'})}.{signature}",
        "hmac with the public key": hmac_by_hand(public_pem(exam.key).encode(), {"typ": "JWT"}, claims),
        "own key in the header": sign_by_hand(mine, {"alg": "EdDSA", "jwk": jwk}, claims),
        "own key by address": sign_by_hand(mine, {"alg": "EdDSA", "jku": "http://127.0.0.1/", "kid": "1"}, claims),
        "another client's key": sign_by_hand(mine, {"alg": "EdDSA"}, claims),
        "an access token's type": sign_by_hand(exam.key, {"alg": "EdDSA", "typ": "at+jwt"}, claims),
        "a critical extension": sign_by_hand(exam.key, {"alg": "EdDSA", "crit": ["x"], "x": 1}, claims),
        "not a token": "abc",
        "empty": "",
        "claims are a list": sign_by_hand(exam.key, {"alg": "EdDSA"}, [1]),
        "header is a list": sign_by_hand(exam.key, ["EdDSA"], claims),
        "our own access token": make_access_token(exam.services, "exam", frozenset(Scope)).token,
    }
    for name, proof in forgeries.items():
        status, answer = await exam.prove(proof)
        assert (status, answer.get("error")) == (401, "invalid_client"), name
        assert "client_id" not in str(answer) and "signature" not in str(answer), name
    assert (await exam.prove(genuine + "A" * 5000))[0] == 400
    assert (await exam.prove(genuine, client_id="other"))[0] == 401
    assert (await exam.prove(genuine))[0] == 200


async def test_forged_access_tokens_are_refused_everywhere_alike(exam: Exam) -> None:
    services, now = exam.services, int(time.time())
    signing = services.keys.signing.current(now)
    genuine = make_access_token(services, "exam", frozenset(Scope)).token
    head, body, signature = genuine.split(".")
    header: dict[str, Any] = jwt.get_unverified_header(genuine)
    claims: dict[str, Any] = jwt.decode(genuine, options={"verify_signature": False})
    mine = Ed25519PrivateKey.generate()
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(mine.public_key()))
    raw = signing.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = signing.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def ours(**changes: Any) -> str:
        return sign_by_hand(signing.private, header, {**claims, **changes})

    async with exam.http.get("/.well-known/jwks.json") as reply:
        published = (await reply.text()).encode()
    forgeries = {
        "alg none": f"{segment(header | {'alg': 'none'})}.{body}.",
        "alg None": f"{segment(header | {'alg': 'None'})}.{body}.",
        "no signature": f"{head}.{body}.",
        "other claims": f"{head}.{segment(claims | {'client_id': 'other'})}.{signature}",
        "hmac, raw key": hmac_by_hand(raw, header, claims),
        "hmac, pem": hmac_by_hand(pem, header, claims),
        "hmac, key set": hmac_by_hand(published, header, claims),
        "hmac, x": hmac_by_hand(signing.x.encode(), header, claims),
        "jwk": sign_by_hand(mine, header | {"jwk": jwk}, claims),
        "jwk, own kid": sign_by_hand(mine, header | {"jwk": jwk, "kid": "mine"}, claims),
        "jku": sign_by_hand(mine, header | {"jku": "http://127.0.0.1:1/jwks.json"}, claims),
        "x5u": sign_by_hand(mine, header | {"x5u": "http://127.0.0.1:1/key"}, claims),
        "kid is a path": sign_by_hand(mine, header | {"kid": "../../../../dev/null"}, claims),
        "kid is SQL": sign_by_hand(mine, header | {"kid": "' OR 1=1 --"}, claims),
        "kid is a list": sign_by_hand(mine, header | {"kid": ["x"]}, claims),
        "no kid": sign_by_hand(signing.private, {"alg": "EdDSA", "typ": "at+jwt"}, claims),
        "no type": sign_by_hand(signing.private, {"alg": "EdDSA", "kid": signing.kid}, claims),
        "an assertion's type": sign_by_hand(signing.private, header | {"typ": "xueshi-eligibility+jwt"}, claims),
        "a critical extension": sign_by_hand(signing.private, header | {"crit": ["x"], "x": 1}, claims),
        "wrong audience": ours(aud="exam"),
        "audience is a list": ours(aud=[AUDIENCE]),
        "wrong issuer": ours(iss="https://evil.example"),
        "expired": ours(exp=now - 1),
        "future": ours(iat=now + 600, exp=now + 900),
        "no expiry": ours(exp=None),
        "expiry as text": ours(exp=str(now + 60)),
        "expiry is huge": ours(exp=1e308),
        "an unknown client": ours(client_id="nobody", sub="nobody"),
        "a proof": make_client_proof(private_pem(exam.key), "exam", ISSUER),
        "too long": genuine + "A" * 5000,
        "not a token": "abc",
        "empty": "",
        "claims are a list": sign_by_hand(signing.private, header, [1]),
        "bad base64": base64.b64encode(genuine.encode()).decode(),
    }
    for name, token in forgeries.items():
        status, answer = await exam.ask(token)
        assert (status, answer.get("code")) == (401, "invalid_token"), name
        answer.pop("request_id")
        assert set(answer) == {"type", "title", "status", "code", "detail"}, name
    assert (await exam.ask(None))[0] == 401
    assert (await exam.ask(ours()))[0] == 200


async def test_a_learner_s_cookie_is_no_token(exam: Exam, valkey_url: str) -> None:
    routes = [eligibility.ELIGIBILITY.route()]
    path = f"/api/v1/eligibility/{exam.pupil.learner_id}"
    async with (
        open_doors(exam.services, routes) as server,
        browser_of(exam.services, server, exam.pupil) as browser,
    ):
        (cookie,) = browser.cookie_jar
        for headers in ({}, {"Authorization": f"Bearer {cookie.value}"}):
            async with browser.get(path, headers=headers) as reply:
                assert reply.status == 401


async def test_rotated_keys_verify_until_what_they_signed_has_expired(exam: Exam) -> None:
    signing, now = exam.services.keys.signing, time.time()
    old = signing.current(now)
    new = signing.rotate(now)
    # Announced before it signs, and the old one stays for as long as anything it signed may be good.
    assert signing.current(now).kid == old.kid
    assert {key["kid"] for key in signing.jwks(now)["keys"]} == {old.kid, new.kid}
    later = new.signs_from + 1
    assert signing.current(later).kid == new.kid
    assert signing.public(old.kid, later + 3600) is not None
    assert signing.public(old.kid, later + 3700) is None
    token = make_access_token(exam.services, "exam", frozenset(Scope)).token
    assert (await exam.ask(token))[0] == 200
    # A leak: nothing the old key signed is believed any more, also by a server that has seen the token.
    signing.rotate(now, at_once=True)

    async def refused() -> bool:
        return (await exam.ask(token))[0] == 401

    await until(refused, timeout=5)
    assert (signing._path.stat().st_mode & 0o777) == 0o600
