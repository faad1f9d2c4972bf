"""Services on both databases, and a browser in front of the pages of identity."""

from tests.support.fixtures import services, visitor

__all__ = ["services", "visitor"]
