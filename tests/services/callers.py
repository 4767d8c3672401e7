"""Callers of an API, and tokens for the tests of authentication."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Request

from services.common.http.auth import Authenticator, Customers, Keys, Machines, Partners
from services.common.values.caller import Caller

CUSTOMER = frozenset({"orders:read", "orders:write"})
ALICE, BOB = Caller("alice", CUSTOMER), Caller("bob", CUSTOMER)
OPERATOR = Caller("olga", frozenset({"ops:read", "ops:write"}), frozenset({"ops"}))
MACHINE = Caller("arn:aws:iam::123456789012:role/reports", machine=True)
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Example"
CLIENT = "client-web"


@dataclass(frozen=True)
class As:
    """Authenticates every request as one caller."""

    caller: Caller

    def verify(self, request: Request) -> Caller:  # noqa: ARG002 - as Verifier.verify
        return self.caller


@dataclass
class Pool:
    """A user pool that signs any claims."""

    kid: str = "key-1"
    issuer: str = ISSUER
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    fetched: int = 0
    away: bool = False

    def document(self, _url: str = "") -> Mapping[str, Any]:
        """Its key set, unless it is unavailable."""
        self.fetched += 1
        if self.away:
            raise OSError("no answer")
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a valid access token, with changes. None removes a claim."""
        now = int(time.time())
        claims = {
            "sub": "alice",
            "iss": self.issuer,
            "client_id": CLIENT,
            "token_use": "access",
            "scope": "shop/orders:read shop/orders:write openid",
            "iat": now,
            "exp": now + 3600,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changed: Any) -> str:
        """A token that the pool signed."""
        return jwt.encode(self.claims(**changed), self.private, "RS256", headers={"kid": self.kid})

    def door(self, machines: Machines | None = None, partners: Partners | None = None) -> Authenticator:
        """A verifier that trusts this pool."""
        keys = Keys("https://keys.test", self.document)
        customers = Customers(self.issuer, frozenset({CLIENT}), keys)
        return Authenticator(customers, machines or Machines({}), partners or Partners())


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """A token with any header and signature."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
