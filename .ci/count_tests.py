"""Sums test cases over records of `meson test` (meson-logs/testlog.json) and prints the line `N passed, N failed`.

A test program that says how many cases it ran (doctest) counts as so many; another one, or one that broke off before it
could say, counts as one. Exit code 1 where a case failed or none ran.
"""

import json
import re
import sys

DOCTEST = re.compile(r"\[doctest\] test cases: +\d+ \| +(\d+) passed \| +(\d+) failed")


def count(record):
    """(passed, failed) of one test program."""
    said = DOCTEST.findall(record.get("stdout") or "")
    passed, failed = (int(number) for number in said[-1]) if said else (0, 0)
    if record["result"] == "SKIP":
        return 0, 0
    if record["result"] not in ("OK", "EXPECTEDFAIL"):
        return passed, max(failed, 1)
    return (passed, failed) if said else (1, 0)


def main(paths):
    passed = failed = 0
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                more_passed, more_failed = count(json.loads(line))
                passed += more_passed
                failed += more_failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
