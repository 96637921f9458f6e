"""localstripe in a process of its own: on 127.0.0.1 only, and with nothing written to disk.

Run as `python -m tests.stripe.upstream PORT`.
"""

import logging
import sys

from aiohttp import web
from localstripe import resources, server


def main(port: int) -> None:
    # It would pickle all it holds into a file that every run on this machine shares.
    resources.Store.dump_to_disk = lambda self: None
    logging.getLogger("aiohttp.access").setLevel(logging.ERROR)
    web.run_app(server.app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
