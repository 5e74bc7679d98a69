"""Entry point of `python -m gen_inbetween.cli` (`accelerate launch -m gen_inbetween.cli batch ...`)."""

from __future__ import annotations

from gen_inbetween.cli.app import main

main()
