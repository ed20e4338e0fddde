"""A stand-in for Meta: one app's Graph API, and the customers of its pages and numbers."""

from gateway.sandbox.meta.server import MetaStandIn

__all__ = ["MetaStandIn"]
