"""Who somebody is: passwords, log-in sessions, tokens."""
