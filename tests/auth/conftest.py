"""Services on both databases, for every test of auth."""

from tests.support.fixtures import services

__all__ = ["services"]
