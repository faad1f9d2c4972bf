"""A program for tests of what is left behind: starts a Valkey, says its process id, and waits to be killed."""

import asyncio
import sys
from pathlib import Path

from player_server.standalone.valkey import start_valkey


async def _main(data_dir: Path) -> None:
    valkey = await start_valkey(data_dir)
    print(valkey.pid, flush=True)
    await valkey.wait()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
