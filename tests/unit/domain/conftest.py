"""The domain's tests: no server, no clock, and examples that do not depend on machine load."""

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.load_profile("domain")
