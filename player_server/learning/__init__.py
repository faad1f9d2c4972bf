"""Use cases: each a story told once and called by every door."""
