"""The whole face in any order beside a plain model, for longer than the tests do it.

python -m tests.campaigns.model --days 300 --steps 50
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.test_model import lived


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--steps", type=int, default=50)
    given = parser.parse_args()
    try:
        lived(given.days, given.steps)
    except AssertionError as error:
        print(json.dumps({"days": given.days, "ok": False, "first": str(error)[:500]}))
        return 1
    print(json.dumps({"days": given.days, "verbs a day": given.steps, "ok": True}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
