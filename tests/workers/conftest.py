"""Services on both databases, for what workers do with them."""

from tests.support.fixtures import services

__all__ = ["services"]
