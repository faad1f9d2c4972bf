"""POST /api/v1/oauth/token, and the two documents under /.well-known/ by which others find keys and addresses.

Errors of the token address are problem+json with the member `error` of RFC 6749, section 5.2.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Annotated, Literal
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web

from player_server.auth import signing
from player_server.auth.service_clients import Scope, ServiceClient
from player_server.auth.service_tokens import (
    BadServiceToken,
    ProofsUnavailable,
    client_of_proof,
    client_of_secret,
    grant,
)
from player_server.observe import log
from player_server.storage.clock import wall_ms
from player_server.storage.signing_keys import ANNOUNCED_S
from player_server.web.keys import SERVICES
from player_server.web.operations import FORM, Call, Operation, Reply
from player_server.web.problems import Problem

#: Attempts at the token address a minute, from one address: enough for a class of services behind one proxy.
TRIES_A_MINUTE = 600
_PROOF = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Text = Annotated[str, msgspec.Meta(max_length=4000)]


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With a key: client_assertion_type and client_assertion. With a secret: client_id and client_secret, here
    or in an Authorization: Basic header. `scope`: names with one space between; left out, all that the client
    has."""

    grant_type: Literal["client_credentials"]
    client_assertion_type: Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"] | None = None
    client_assertion: Text | None = None
    client_id: Text | None = None
    client_secret: Text | None = None
    scope: Text | None = None


class TokenAnswer(msgspec.Struct, frozen=True):
    """`expires_in`: seconds. `scope`: what was granted."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


async def _token(call: Call) -> Reply:
    wanted: TokenRequest = call.body
    services = call.services
    pace = await services.gate.pace(services.redis, f"token:{call.address}", TRIES_A_MINUTE, 1, wall_ms() / 1000)
    if not pace.allowed:
        retry = {"Retry-After": str(pace.reset_s)}
        raise Problem(429, "too_many_requests", "Try again in a moment.", headers=retry, error="slow_down")
    try:
        client = await _client(call, wanted)
    except BadServiceToken as error:
        log.warning("service_client_refused", reason=error.reason, client=(error.client_id or "")[:100])
        raise Problem(
            401,
            "invalid_client",
            "The client is not known, or what it proves itself with is not right or was used before.",
            headers={"WWW-Authenticate": 'Basic realm="xueshi"'},
            error="invalid_client",
        ) from None
    except ProofsUnavailable:
        raise Problem(
            503,
            "try_later",
            "Try again in a moment.",
            headers={"Retry-After": "5"},
            error="temporarily_unavailable",
        ) from None
    token = await grant(services, client, _scopes(wanted.scope), address=call.address)
    answer = TokenAnswer(token.token, "Bearer", token.expires_in, " ".join(sorted(token.scopes)))
    return Reply(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


async def _client(call: Call, wanted: TokenRequest) -> ServiceClient:
    header = call.request.headers.get("Authorization")
    if wanted.client_assertion is not None:
        if wanted.client_assertion_type != _PROOF or wanted.client_secret is not None or header is not None:
            raise _invalid("Send either client_assertion with its client_assertion_type, or a secret.")
        return await client_of_proof(call.services, wanted.client_assertion, wanted.client_id)
    if header is not None:
        if wanted.client_secret is not None or wanted.client_id is not None:
            raise _invalid("Send the secret in the header or in the body, not in both.")
        return await client_of_secret(call.services, *_basic(header))
    if wanted.client_id is None or wanted.client_secret is None:
        raise BadServiceToken("missing")
    return await client_of_secret(call.services, wanted.client_id, wanted.client_secret)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise BadServiceToken("wrong_scheme")
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise BadServiceToken("not_base64") from None
    if not colon:
        raise BadServiceToken("no_colon")
    return unquote_plus(client_id), unquote_plus(secret)


def _scopes(text: str | None) -> frozenset[Scope] | None:
    if text is None:
        return None
    try:
        return frozenset(Scope(name) for name in text.split())
    except ValueError:
        known = ", ".join(Scope)
        raise Problem(400, "invalid_scope", f"Scopes are {known}.", error="invalid_scope") from None


def _invalid(detail: str) -> Problem:
    return Problem(400, "bad_request", detail, error="invalid_request")


TOKEN = Operation(
    method="POST",
    path="/api/v1/oauth/token",
    name="token",
    summary="Get an access token (OAuth 2 client credentials)",
    handler=_token,
    body=TokenRequest,
    body_type=FORM,
    answers={200: TokenAnswer},
    problems={401: "The client did not prove who it is.", 503: "Proofs cannot be checked now."},
    description="A client proves itself by a JWT that its own Ed25519 key signed (RFC 7523, `private_key_jwt`; each"
    " proof is good once) or by its secret. See docs/exam-service.md.",
)


async def jwks(request: web.Request) -> web.StreamResponse:
    """GET /.well-known/jwks.json: the keys to verify with. A new key stands here before it signs anything."""
    keys = request.app[SERVICES].keys.signing.jwks(wall_ms() / 1000)
    return web.Response(
        body=msgspec.json.encode(keys),
        content_type="application/jwk-set+json",
        headers={"Cache-Control": f"public, max-age={ANNOUNCED_S}", "Access-Control-Allow-Origin": "*"},
    )


async def metadata(request: web.Request) -> web.StreamResponse:
    """GET /.well-known/oauth-authorization-server (RFC 8414): issuer and addresses."""
    settings = request.app[SERVICES].settings
    url = settings.public_url
    document = {
        "issuer": signing.issuer(settings),
        "token_endpoint": f"{url}/api/v1/oauth/token",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
        "token_endpoint_auth_signing_alg_values_supported": [signing.ALGORITHM],
        "scopes_supported": list(Scope),
        "service_documentation": f"{url}/api/v1/docs",
    }
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")
