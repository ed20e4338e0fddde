"""The REST API: one table of paths, which the router, the OpenAPI document and the tests read."""

from gateway.web.api.api import Api

__all__ = ["Api"]
