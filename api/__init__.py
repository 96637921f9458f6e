"""The edge: FastAPI, one router per resource, authentication, idempotency, webhooks, problems."""

from api.app import create_app
from api.config import ApiConfig, RateLimit, RateLimits
from api.passwords import hash_password

__all__ = ["ApiConfig", "RateLimit", "RateLimits", "create_app", "hash_password"]
