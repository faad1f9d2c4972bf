"""A reference exam service: what the other side of docs/exam-service.md looks like, as a process of its own.

It uses only the public documents: issuer and addresses from /.well-known/, keys to verify with, the REST interface,
webhooks. Nothing of the product or of its tests is imported. What it keeps, it keeps in memory; `GET /seen`
tells it.

    python -m tests.peers.exam_service --issuer URL --client ID --key FILE --webhook-secret FILE --port NUMBER
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PROOF = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION, LAUNCH = "xueshi-eligibility+jwt", "xueshi-launch+jwt"
#: Half a minute before its end an access token is not used any more.
EARLY_S = 30


class Xueshi:
    """The product, as this service sees it: addresses, keys and a token, each asked for when needed."""

    def __init__(self, http: aiohttp.ClientSession, issuer: str, client: str, key: str) -> None:
        self.http = http
        self.issuer = issuer
        self.client = client
        self._key = key
        self._metadata: dict[str, Any] = {}
        self._keys: dict[str, jwt.PyJWK] = {}
        self._token = ("", 0.0)

    async def metadata(self) -> dict[str, Any]:
        if not self._metadata:
            url = f"{self.issuer}/.well-known/oauth-authorization-server"
            async with self.http.get(url) as answer:
                answer.raise_for_status()
                found = await answer.json()
            if found["issuer"] != self.issuer:
                raise ValueError("another issuer")
            self._metadata = found
        return self._metadata

    async def token(self) -> str:
        """An access token, a new one shortly before the old one ends."""
        token, until = self._token
        if time.time() < until:
            return token
        url = (await self.metadata())["token_endpoint"]
        now = int(time.time())
        claims = {"iss": self.client, "sub": self.client, "aud": url, "iat": now, "exp": now + 60}
        proof = jwt.encode({**claims, "jti": secrets.token_urlsafe(16)}, self._key, "EdDSA")
        form = {"grant_type": "client_credentials", "client_assertion_type": PROOF, "client_assertion": proof}
        async with self.http.post(url, data=form) as answer:
            answer.raise_for_status()
            found = await answer.json()
        self._token = (found["access_token"], now + found["expires_in"] - EARLY_S)
        return str(found["access_token"])

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """One call of the REST interface."""
        headers["Authorization"] = f"Bearer {await self.token()}"
        url = f"{self.issuer}/api/v1{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            found: dict[str, Any] = await answer.json(content_type=None)
            return answer.status, found

    async def verify(self, token: str, kind: str, audience: str) -> dict[str, Any]:
        """The claims of something signed; asks for keys only when it meets one that it does not know."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != kind:
            raise jwt.InvalidTokenError("another kind")
        name = str(header.get("kid"))
        if name not in self._keys:
            async with self.http.get((await self.metadata())["jwks_uri"]) as answer:
                answer.raise_for_status()
                found = jwt.PyJWKSet.from_dict(await answer.json(content_type=None))
            self._keys = {str(key.key_id): key for key in found.keys}
        claims: dict[str, Any] = jwt.decode(
            token,
            self._keys[name],
            algorithms=["EdDSA"],
            audience=audience,
            issuer=self.issuer,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
        return claims


class ExamService:
    """The doors of this service."""

    def __init__(self, xueshi: Xueshi, secret: str, url: str) -> None:
        self._xueshi = xueshi
        self._webhook = Webhook(secret)
        self._url = url
        self._seen: dict[str, Any] = {"events": [], "answers": [], "results": [], "refused": 0}
        self._known: set[str] = set()
        self._nonces: set[str] = set()
        self._sittings: dict[str, dict[str, Any]] = {}

    async def webhook(self, request: web.Request) -> web.Response:
        """POST /webhooks. An event may come twice; its id tells."""
        body = await request.read()
        try:
            event = self._webhook.verify(body, {name.lower(): value for name, value in request.headers.items()})
        except WebhookVerificationError:
            self._seen["refused"] += 1
            return web.Response(status=401)
        if event["id"] not in self._known:
            self._known.add(event["id"])
            self._seen["events"].append(event)
            if event["type"] == "hours.completed":
                await self._look(event["data"]["learner"])
        return web.Response(status=204)

    async def enter(self, request: web.Request) -> web.Response:
        """GET /enter?launch=…: where the learner's button leads."""
        try:
            claims = await self._xueshi.verify(request.query.get("launch", ""), LAUNCH, self._url)
        except (jwt.InvalidTokenError, KeyError):
            return web.Response(status=403, text="This is no launch.")
        if claims["nonce"] in self._nonces:
            return web.Response(status=403, text="This launch was used.")
        self._nonces.add(claims["nonce"])
        status, launch = await self._xueshi.ask("POST", "/launches:redeem", {"launch": request.query["launch"]})
        if status != 200:
            return web.Response(status=403, text=launch["detail"])
        said = await self._look(launch["learner"], f"?programme={launch['programme']}")
        if not said["eligible"]:
            return web.Response(status=403, text=f"Not yet: {', '.join(said['reasons'])}.")
        sitting = secrets.token_urlsafe(8)
        self._sittings[sitting] = launch
        return web.Response(text=f"sitting {sitting}")

    async def finish(self, request: web.Request) -> web.Response:
        """POST /sittings/{sitting} {"score": …}: graded; 60 points pass. The result is sent twice, as after a lost
        reply, under the sitting's own key."""
        sitting = request.match_info["sitting"]
        launch, score = self._sittings[sitting], (await request.json())["score"]
        body = {
            "learner": launch["learner"],
            "enrolment": launch["enrolment"],
            "outcome": "passed" if score >= 60 else "failed",
            "score": score,
        }
        sent = [
            await self._xueshi.ask("POST", "/exam-results", body, **{"Idempotency-Key": sitting}) for _ in range(2)
        ]
        self._seen["results"] += sent
        return web.json_response([status for status, _ in sent])

    async def seen(self, _request: web.Request) -> web.Response:
        """GET /seen: everything so far."""
        return web.json_response(self._seen)

    async def check(self, request: web.Request) -> web.Response:
        """POST /check {"assertion"}: believed or not, with the keys that are here and nothing else."""
        try:
            claims = await self._xueshi.verify((await request.json())["assertion"], ASSERTION, self._xueshi.client)
        except (jwt.InvalidTokenError, KeyError, aiohttp.ClientError):
            return web.json_response({"believed": False})
        return web.json_response({"believed": True, "eligible": claims["eligibility"]["eligible"]})

    async def _look(self, learner: int, query: str = "") -> dict[str, Any]:
        """Ask for eligibility, and believe only what is signed."""
        status, answer = await self._xueshi.ask("GET", f"/eligibility/{learner}{query}")
        if status != 200:
            return {"eligible": False, "reasons": [answer["code"]]}
        claims = await self._xueshi.verify(answer["assertion"], ASSERTION, self._xueshi.client)
        said: dict[str, Any] = claims["eligibility"]
        if said["learner"] != learner:
            raise ValueError("an answer about somebody else")
        self._seen["answers"].append({"eligible": said["eligible"], "assertion": answer["assertion"]})
        return said


async def main(options: argparse.Namespace) -> None:
    """Serve until killed."""
    async with aiohttp.ClientSession() as http:
        xueshi = Xueshi(http, options.issuer, options.client, options.key.read_text())
        url = f"http://127.0.0.1:{options.port}/enter"
        service = ExamService(xueshi, options.webhook_secret.read_text().strip(), url)
        app = web.Application()
        app.add_routes(
            [
                web.post("/webhooks", service.webhook),
                web.get("/enter", service.enter),
                web.post("/sittings/{sitting}", service.finish),
                web.get("/seen", service.seen),
                web.post("/check", service.check),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", options.port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--client", required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--webhook-secret", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(main(parser.parse_args()))
