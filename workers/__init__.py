"""Jobs: each a claim and a call into a use case; every job may run twice."""
