"""Render subjects that are asked for on the standard input, a JSON object a line.

Runs in Blender's interpreter. A request is {"kind", "seed", "size", "threads",
"path"}; the answer, a line too, is {"path", "seconds"} or {"path", "error"}. The file
at `path` is a NumPy archive of `colours`, premultiplied and linear, and `alpha`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np


def main() -> None:
    """Answer requests until the input ends."""
    # Blender writes its progress to the standard output; answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    from experiments.rendering.blender import camera, kinds, passes
    from experiments.rendering.blender.stage import Stage

    os.dup2(silence, 2)  # from here on it would only fill the pipe
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"path": request["path"]}
        started = time.monotonic()
        try:
            kind, seed = request["kind"], request["seed"]
            entropy = [zlib.crc32(kind.encode()), seed]
            rng = np.random.default_rng(np.random.SeedSequence(entropy))
            stage = Stage(rng)
            kinds.KINDS[kind](stage)
            camera.place_camera(stage)
            camera.place_lights(stage)
            with tempfile.TemporaryDirectory() as folder:
                colours, alpha = passes.render(
                    stage, request["size"], request["threads"], Path(folder)
                )
            with open(request["path"], "wb") as file:
                np.savez(file, colours=colours.astype(np.float16), alpha=alpha)
            answer["seconds"] = round(time.monotonic() - started, 1)
        except Exception as error:  # one subject's failure must not end the others'
            answer["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
