"""Services on both databases."""

from tests.support.fixtures import services

__all__ = ["services"]
