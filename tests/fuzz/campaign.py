"""``make fuzz``: cases of every kind for a time, each from a seed that is printed where it fails.

python tests/fuzz/campaign.py [--seconds 600] [--seed N] [--kind KIND] [--case N] [--record]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from cases import KINDS, described, place, run

LIMIT = 120  # seconds of one case, on a machine that does other work
RESULTS = Path(__file__).parents[1] / "bench" / "fuzz.json"


class TooLong(BaseException):
    """A case that does not end."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    options.add_argument("--kind", choices=KINDS)
    options.add_argument("--case", type=int, help="this one alone, with its traceback")
    options.add_argument("--record", action="store_true", help=f"add the totals to {RESULTS.name}")
    requested = options.parse_args()
    kinds = [requested.kind] if requested.kind else list(KINDS)
    print(f"seed {requested.seed}", flush=True)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_long)
    began, counts, faults = time.monotonic(), Counter[str](), Counter[str]()
    seconds = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "cases"
        with place(there):
            for number in [requested.case] if requested.case is not None else itertools.count():
                kind = kinds[number % len(kinds)] if requested.case is None else kinds[0]
                # every kind has the same time: quick ones get more cases
                kind = min(kinds, key=lambda k: seconds[k]) if requested.case is None else kind
                case = counts[kind] if requested.case is None else requested.case
                start = time.monotonic()
                signal.alarm(LIMIT)
                try:
                    run(kind, f"{requested.seed}/{case}", there)
                except (Exception, TooLong) as error:
                    faults[kind] += 1
                    print(f"--kind {kind} --seed {requested.seed} --case {case}: {described(error)}", flush=True)
                    if requested.case is not None:
                        traceback.print_exc()
                finally:
                    signal.alarm(0)
                counts[kind] += 1
                seconds[kind] += time.monotonic() - start
                if time.monotonic() - began > requested.seconds:
                    break
    found: dict[str, Any] = {"seed": requested.seed, "seconds": round(time.monotonic() - began)}
    found |= {"cases": dict(counts), "faults": sum(faults.values())}
    print(json.dumps(found))
    if requested.record:
        earlier = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
        RESULTS.write_text(json.dumps([*earlier, found], indent=1) + "\n")
    return 1 if faults else 0


def _too_long(*_: object) -> None:
    raise TooLong(f"more than {LIMIT} s")


if __name__ == "__main__":
    sys.exit(main())
