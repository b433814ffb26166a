"""Processes killed and paused, messages lost and repeated, databases locked and silent, full disks,
damaged checkpoints and clocks that jump, each while a run works: nothing may be lost, be done twice
or be stuck, and what is published must come from the attempt that finished.

Each fault is made at a random moment of a run of its own on a platform of real processes, and
counts only if it met something alive. Detection is the time until the database knew of the lost
attempt (of a service: until another process was there), restart the time until the next attempt was
claimed, cancel the time from a person's request to the end of the run.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from pathlib import Path

from bench.fault_injection.campaign import Campaign, append_record, read_records
from bench.fault_injection.injection import Record
from bench.fault_injection.kinds import KINDS, Kind
from bench.protocol import Result, Table, percentile, quartiles

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_LEASE_SECONDS = 90.0
SHORT_LEASE_SECONDS = 9.0
DATABASES = ("sqlite", "postgres")
COLUMNS = (
    "fault", "lease s", "sqlite", "postgres", "lost", "twice", "stuck", "wrong artifact",
    "detection p50", "p95", "max", "restart p50", "p95", "max",
)  # fmt: skip


def run(arguments: Sequence[str]) -> Result:
    """Faults until there are enough of them; records of earlier calls count."""
    options = _parser().parse_args(arguments)
    path: Path = options.records or ROOT / "var" / "bench" / f"faults-{options.seed}.jsonl"
    until = time.monotonic() + 60 * options.minutes
    databases = DATABASES if options.database == "both" else (options.database,)
    print(f"seed {options.seed}, records in {path}", file=sys.stderr)
    for database in databases:
        wanted = {SHORT_LEASE_SECONDS: options.faults // len(databases)}
        wanted[DEFAULT_LEASE_SECONDS] = -(-options.default_lease_faults // len(databases))
        for lease_seconds, count in wanted.items():
            campaign = Campaign(
                database=database, seed=options.seed, lease_seconds=lease_seconds,
                num_platforms=options.platforms,
                kinds=[kind for kind in KINDS if _is_wanted(kind, options)],
            )  # fmt: skip
            _go_on(campaign, count, path, until)
    return summary(read_records(path))


def _is_wanted(kind: Kind, options: argparse.Namespace) -> bool:
    is_quick = not kind.is_long and not kind.needs_clock
    return options.kinds in kind.name and (is_quick or not options.quick)


def _go_on(campaign: Campaign, count: int, path: Path, until: float) -> None:
    """`count` faults of the campaign that met something are in the file, or the time is up."""
    while time.monotonic() < until:
        known = [
            record
            for record in read_records(path)
            if (record.database, record.lease_seconds)
            == (campaign.database, campaign.lease_seconds)
        ]
        missing = count - sum(record.is_counted for record in known)
        if missing <= 0:
            return
        first = max((record.number + 1 for record in known), default=0)
        for record in campaign.run(first=first, count=missing, until=until):
            append_record(path, record)
            outcome = record.problem or "ok"
            print(
                f"{record.database} {record.number} {record.kind}: met {record.met or 'nothing'}: "
                f"{outcome}", file=sys.stderr, flush=True,
            )  # fmt: skip


def summary(records: Sequence[Record]) -> Result:
    """The table and figures of all faults that met something alive."""
    counted = [record for record in records if record.is_counted or record.problem]
    groups = {
        (record.kind, record.lease_seconds): [
            other
            for other in counted
            if (other.kind, other.lease_seconds) == (record.kind, record.lease_seconds)
        ]
        for record in sorted(counted, key=lambda record: (-record.lease_seconds, record.kind))
    }
    rows = [_row(kind, f"{lease:g}", group) for (kind, lease), group in groups.items()]
    rows.append(_row("all", "", counted))
    cancelled = _times(counted, lambda record: record.cancel_seconds)
    rows.append(["cancel requested after the fault", "", *[""] * 6, *_three(cancelled), "", "", ""])
    figures: dict[str, float] = {
        "num_faults": len(counted),
        "num_faults_default_lease": sum(
            record.lease_seconds == DEFAULT_LEASE_SECONDS for record in counted
        ),
        "num_not_counted": len(records) - len(counted),
    }
    for name in ("lost", "twice", "stuck", "published"):
        figures[f"num_{name}"] = sum(bool(getattr(record, name)) for record in counted)
    spread = {}
    for name in ("detection", "restart", "cancel"):
        short = [record for record in counted if record.lease_seconds != DEFAULT_LEASE_SECONDS]
        seconds = _times(short, attrgetter(f"{name}_seconds"))
        if seconds:
            figures |= {
                f"{name}_p50_seconds": round(percentile(seconds, 0.5), 3),
                f"{name}_p95_seconds": round(percentile(seconds, 0.95), 3),
                f"{name}_max_seconds": round(max(seconds), 3),
            }
            low, high = quartiles(seconds)
            spread[f"{name}_p50_seconds"] = (round(low, 3), round(high, 3))
    seeds = sorted({record.seed for record in records})
    return Result(
        table=Table(columns=COLUMNS, rows=rows),
        figures=figures | {f"seed_{number}": seed for number, seed in enumerate(seeds)},
        spread=spread,
        failures=[
            f"seed {record.seed} {record.database} fault {record.number} ({record.kind}): "
            f"{record.problem}"
            for record in counted
            if record.problem
        ],
    )


def _row(kind: str, lease: str, group: Sequence[Record]) -> list[object]:
    detection = _times(group, lambda record: record.detection_seconds)
    restart = _times(group, lambda record: record.restart_seconds)
    return [
        kind, lease,
        *(sum(record.database == database for record in group) for database in DATABASES),
        *(
            sum(bool(getattr(record, name)) for record in group)
            for name in ("lost", "twice", "stuck", "published")
        ),
        *_three(detection), *_three(restart),
    ]  # fmt: skip


def _times(records: Iterable[Record], time_of: Callable[[Record], float | None]) -> list[float]:
    return [seconds for record in records if (seconds := time_of(record)) is not None]


def _three(seconds: Sequence[float]) -> list[object]:
    """Median, 95th percentile and maximum, in seconds."""
    if not seconds:
        return ["", "", ""]
    return [f"{percentile(seconds, share):.2f}" for share in (0.5, 0.95, 1.0)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench faults")
    parser.add_argument("--faults", type=int, default=300, help="how many, of both databases")
    parser.add_argument("--default-lease-faults", type=int, default=10, help="at a lease of 90 s")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--database", choices=["both", *DATABASES], default="both")
    parser.add_argument("--platforms", type=int, default=4, help="beside each other")
    parser.add_argument("--minutes", type=float, default=120.0, help="no fault begins later")
    parser.add_argument("--kinds", default="", help="only those with this in their name")
    parser.add_argument(
        "--quick", action="store_true", help="none that waits for a lease or moves the clock"
    )
    parser.add_argument("--records", type=Path, help="one line for each fault; read and added to")
    return parser
