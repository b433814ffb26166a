"""The processes behind the web server.

    python -m workers broker               the embedded Valkey (not needed with REDIS_URL)
    python -m workers dispatcher           sends wake-up messages, gives up dead attempts
    python -m workers worker compute-0     a supervisor; one for each device, plus interactive-0

`python manage.py up` starts all of them on one machine.
"""

import argparse
import sys

from workers.bootstrap import setup_django

WORKER_OPTIONS = ("--pool=prefork", "--without-gossip", "--without-mingle", "--without-heartbeat")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("broker", help="become the embedded Valkey server")
    commands.add_parser("dispatcher", help="send wake-up messages and reap")
    worker = commands.add_parser("worker", help="supervise runs on one slot")
    worker.add_argument("slot", help="<queue>-<number>, such as compute-0")
    arguments = parser.parse_args()

    # The modules below import Django models, which need the set-up first.
    setup_django()
    if arguments.command == "broker":
        from workers.broker import serve

        serve()
    elif arguments.command == "dispatcher":
        from workers.dispatcher import dispatch

        dispatch()
    else:
        from pipeline.errors import IsolationError
        from workers.app import app, use_slot
        from workers.isolation.ways import isolation_in_force

        slot = use_slot(arguments.slot)
        try:
            isolation_in_force()
        except IsolationError as exc:
            print(f"error[{exc.code}]: {exc}", file=sys.stderr)
            sys.exit(exc.exit_status)
        app.worker_main(
            ["worker", f"--queues={slot.queue}", f"--hostname={slot.name}@%h", *WORKER_OPTIONS]
        )


if __name__ == "__main__":
    main()
