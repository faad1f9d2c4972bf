"""The institution's pages, under /staff. Each parses, calls one use case and renders."""
