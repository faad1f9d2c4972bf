"""The pure core of watching: messages, counting rules and their state. No I/O, no clock, no randomness."""
