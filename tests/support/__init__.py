"""What tests need to run against the real thing: servers they own, free ports, ended processes.

What belongs here starts, asks or ends something real. Data for tests and steps of a journey belong beside the
tests that use them.
"""
