"""``python -m fastnn``: the same as the command ``fastnn``."""

from fastnn.cli import main

raise SystemExit(main())
