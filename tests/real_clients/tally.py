"""Prints `passed failed skipped` from a JUnit report, for tests/run to add up."""
import sys
import xml.etree.ElementTree as ElementTree

suites = list(ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"))
total, failures, errors, skipped = (
    sum(int(suite.get(key, "0")) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
)
failed = failures + errors
print(total - failed - skipped, failed, skipped)
