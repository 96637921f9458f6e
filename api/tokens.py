"""Access tokens (JWT, short-lived) and refresh tokens (random, stored as hashes)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from api.config import AUDIENCE, ISSUER
from api.problems import Problem
from db.ids import new_ulid
from db.vocabulary import Role

_ALGORITHM = "HS256"
_CLAIMS = ["iss", "aud", "sub", "role", "iat", "exp", "jti"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as their access token says."""

    user_id: str
    role: Role

    @property
    def staff(self) -> bool:
        """Whether they may see what is other people's."""
        return self.role in (Role.SUPPORT, Role.ADMIN)


class AccessTokens:
    """Issues and reads access tokens under one secret; `seconds` is how long one is good."""

    def __init__(self, secret: str, seconds: int) -> None:
        self._secret = secret
        self.seconds = seconds

    def issue(self, user_id: str, role: Role, now: datetime) -> str:
        """A token for a user."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "role": role.value,
            "iat": now,
            "exp": now + timedelta(seconds=self.seconds),
            "jti": new_ulid(),
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def read(self, token: str) -> Caller:
        """Who holds a token; raises Problem TOKEN_EXPIRED or TOKEN_INVALID."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": _CLAIMS},
            )
            return Caller(claims["sub"], Role(claims["role"]))
        except jwt.ExpiredSignatureError as error:
            raise _refused("TOKEN_EXPIRED") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise _refused("TOKEN_INVALID") from error


def _refused(code: str) -> Problem:
    return Problem(code, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def new_refresh_token() -> str:
    """256 random bits, as text."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored of a refresh token; it is random, so a plain hash cannot be searched."""
    return hashlib.sha256(token.encode()).hexdigest()
