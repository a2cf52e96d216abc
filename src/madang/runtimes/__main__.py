"""`python -m madang.runtimes`: answers at once, is ready when the model is loaded."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from madang.runtimes.app import ModelApp
from madang.runtimes.http1 import Server
from madang.runtimes.signature import ModelError, read_model_folder

MAX_BODY_BYTES = 64 * 2**20


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM; requests that are under way are answered first. 1 when the model
    can't be loaded."""
    options = _parser().parse_args(arguments)
    app = ModelApp(options.name, options.version, concurrency=options.concurrency)
    server = Server(
        (options.host, options.port), app.handle, max_body_bytes=options.max_body_bytes
    )

    def stop(number: int, _: object) -> None:
        if not app.ready:
            sys.exit(128 + number)
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    serving = threading.Thread(target=server.serve, daemon=True)
    serving.start()
    print(f"listening on {options.host}:{server.port}", flush=True)
    began = time.monotonic()
    try:
        app.load(read_model_folder(Path(options.model)))
    except ModelError as error:
        print(f"Error: model {options.name} can't be served: {error}", file=sys.stderr)
        return 1
    took_s = time.monotonic() - began
    print(f"{options.name}/{options.version} is ready after {took_s:.1f} s", flush=True)
    serving.join()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m madang.runtimes", description=__doc__)
    parser.add_argument("--model", required=True, help="folder of a saved MLflow model")
    parser.add_argument("--name", required=True, help="the model's name in addresses")
    parser.add_argument("--version", default="1", help="its version in addresses")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0 for any")
    parser.add_argument(
        "--concurrency", type=int, default=1, help="requests that the model computes at a time"
    )
    parser.add_argument(
        "--max-body-bytes", type=int, default=MAX_BODY_BYTES, help="largest request taken"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
