"""`python -m sandbox alphapay --port 9101 --data DIR`: a PSP or carrier, served on 127.0.0.1."""

import argparse
import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.alphapay import AlphaPay
from sandbox.betapay import BetaPay
from sandbox.carriers.base import Carrier
from sandbox.carriers.delhivery import Delhivery
from sandbox.carriers.shiprocket import Shiprocket
from sandbox.carriers.swift import Swift
from sandbox.gammapay import GammaPay
from sandbox.psp.app import Psp
from sandbox.psp.server import LOOPBACK, serve
from sandbox.psp.webhooks import Target
from sandbox.razorpay import Razorpay

PSPS: dict[str, type[Psp]] = {psp.name: psp for psp in (AlphaPay, BetaPay, GammaPay, Razorpay)}
CARRIERS: dict[str, type[Carrier]] = {
    carrier.name: carrier for carrier in (Swift, Shiprocket, Delhivery)
}
SERVERS: dict[str, type[Psp] | type[Carrier]] = {**PSPS, **CARRIERS}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A PSP or a carrier on this machine, with books of its own.",
        epilog="Keys and secrets may also come from SANDBOX_API_KEY and SANDBOX_WEBHOOK_SECRET,"
        " which keeps them out of the process list.",
    )
    parser.add_argument("psp", choices=sorted(SERVERS))
    parser.add_argument("--port", type=int, required=True, help="0: any free one")
    parser.add_argument(
        "--host", default=LOOPBACK, help="where to listen; inside a container 0.0.0.0"
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of its books")
    parser.add_argument("--webhook-url", help="where events are sent; left out: nowhere")
    parser.add_argument("--webhook-secret", default=os.environ.get("SANDBOX_WEBHOOK_SECRET"))
    parser.add_argument("--api-key", default=os.environ.get("SANDBOX_API_KEY"))
    return parser


def main() -> None:
    """Start the server that the command line names."""
    parser = _arguments()
    given = parser.parse_args()
    if not given.api_key:
        parser.error("an API key is needed: pass --api-key or set SANDBOX_API_KEY")
    target = None
    if given.webhook_url:
        if urlsplit(given.webhook_url).scheme not in ("http", "https"):
            parser.error(f"--webhook-url {given.webhook_url!r} is not an http(s) address")
        if not given.webhook_secret:
            parser.error("webhooks are signed: pass --webhook-secret or SANDBOX_WEBHOOK_SECRET")
        target = Target(url=given.webhook_url, secret=given.webhook_secret)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    psp = SERVERS[given.psp](data=given.data, target=target, api_key=given.api_key)
    serve(psp.asgi(), given.port, given.host)


if __name__ == "__main__":
    main()
