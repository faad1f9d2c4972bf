"""Free TCP ports for servers that tests start."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port on `host` that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port
