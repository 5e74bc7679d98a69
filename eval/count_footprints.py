"""Footprints of Stable Video Diffusion at its own size, counted for the planner.

    python eval/count_footprints.py          # writes gen_inbetween/memory/footprints.json, some minutes

Every figure that `inbetween plan` asks for with svd-xt or svd, any method, in half precision.
"""

from __future__ import annotations

import argparse

from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.memory import kept_footprints as kept
from gen_inbetween.memory.plan import plan, render
from gen_inbetween.models.configs import SVD_XT
from gen_inbetween.runtime.files import write_json
from gen_inbetween.runtime.manifest import versions


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    kept.shipped().clear()  # counted, not read
    with kept.recorded() as figures:
        for num_frames in (25, 14):
            for method in METHODS:
                for line in render(plan(SVD_XT, method=method, num_frames=num_frames)):
                    print(line, flush=True)
    write_json(
        kept.SHIPPED, {"made_by": "python eval/count_footprints.py", "versions": versions(), "footprints": figures}
    )
    print(kept.SHIPPED)


if __name__ == "__main__":
    main()
