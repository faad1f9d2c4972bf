"""SQL, Redis and files: everything that remembers. Knows rows and keys, not rules."""
