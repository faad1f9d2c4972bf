"""The red team: every row of the attack table, played against live servers. Run it with `./run redteam`."""
