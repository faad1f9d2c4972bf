"""The WebSocket door: sockets, live players, group commit."""
