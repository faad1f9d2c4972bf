"""Everything `./run` needs to be a whole installation by itself: an embedded Valkey and a supervisor.

What belongs here is starting, watching and ending processes of our own. A deployment that brings its own
Redis and process manager never imports this package.
"""
