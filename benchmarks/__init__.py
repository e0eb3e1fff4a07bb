"""fastnn beside its peers, on the workloads of every speed figure."""

import sys
from pathlib import Path

# `python -m benchmarks.report` puts the repository's root first on sys.path, where ./fastnn would shadow the installed
# package. Last, it still serves an engine that was built in place.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [each for each in sys.path if Path(each).resolve() != ROOT] + [str(ROOT)]
