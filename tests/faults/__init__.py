"""Fault campaigns on real servers: what was acknowledged must be there afterwards, what was not reported must not.

`./run faults` plays all of them and prints a table. `history.py` is what the clients saw and what must hold of it,
`client.py` a learner who never gives up, `stage.py` the processes, `faults.py` what is done to them.
"""
