"""Users, sessions and addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from api.schemas.base import Asked, Line, Phone, PincodeText, Told
from db.vocabulary import Role

_EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"

Email = Annotated[str, Field(max_length=254, pattern=_EMAIL, examples=["customer@example.com"])]
NewPassword = Annotated[SecretStr, Field(min_length=8, max_length=128)]
Password = Annotated[SecretStr, Field(min_length=1, max_length=128)]
Refresh = Annotated[SecretStr, Field(min_length=1, max_length=200)]


class SignUp(Asked):
    """A new customer."""

    email: Email
    name: Line
    phone: Phone | None = None
    password: NewPassword


class Login(Asked):
    """Who signs in."""

    email: Email
    password: Password


class RefreshRequest(Asked):
    """The refresh token that is exchanged, or whose session ends."""

    refresh_token: Refresh


class Tokens(Told):
    """A session: the access token's life is in seconds; each refresh token works once."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    refresh_token: str


class UserView(Told):
    """A user as they see themselves."""

    id: str
    email: str
    name: str
    phone: str | None
    role: Role
    created_at: datetime


class NewAddressBody(Asked):
    """Where parcels go; the state follows from the PIN code."""

    name: Line
    line1: Line
    line2: Annotated[str, Field(max_length=200)] = ""
    city: Line
    pincode: PincodeText
    phone: Phone


class AddressView(Told):
    """An address as stored; `state_code` is the GST code of the state."""

    id: str
    name: str
    line1: str
    line2: str
    city: str
    state_code: str
    pincode: str
    phone: str
    created_at: datetime


class Addresses(Told):
    """A user's addresses, oldest first."""

    items: list[AddressView]
