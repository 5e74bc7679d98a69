"""The `inbetween` command with all of its groups.

`python -m gen_inbetween.cli` is the same (`accelerate launch -m gen_inbetween.cli batch ...`).
"""

from __future__ import annotations

import os
import sys

from gen_inbetween.cli import batch, clean, edit, models, page, retime, serve, stylize
from gen_inbetween.cli.app import app
from gen_inbetween.cli.errors import (
    ANYWHERE,
    TRUST_VARIABLE,
    configure_logging,
    debugging,
    report_usage,
    trusting,
)
from gen_inbetween.runtime.processes import raise_on_signals

for group in (batch, models, retime, edit, stylize, clean, serve, page):
    group.add_to(app)


def main() -> None:
    """The console script."""
    configure_logging()
    raise_on_signals()
    if trusting():
        os.environ[TRUST_VARIABLE] = "1"
    try:
        words = [argument for argument in sys.argv[1:] if argument not in ANYWHERE]
        status = app(args=words, prog_name="inbetween", standalone_mode=False)
    except Exception as error:
        if debugging() or not hasattr(error, "format_message"):
            raise
        sys.exit(report_usage(error))
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
