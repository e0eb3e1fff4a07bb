"""Records what real Keras makes of the cases, with JAX as its backend:

    python tests/golden/record.py [name of a case ...]

It writes keras.npz, anew or with the named cases replaced, which `test_golden.py` compares fastnn with, whether Keras
is installed or not.
"""

import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    sys.path.insert(0, str(HERE))
    import keras
    from cases import CASES

    found = {}
    if len(sys.argv) > 1:
        with np.load(HERE / "keras.npz") as data:
            found = {key: value for key, value in data.items() if key.partition("/")[0] not in sys.argv[1:]}
    for name in sys.argv[1:] or CASES:
        print(name, flush=True)
        found.update({f"{name}/{key}": np.float32(value) for key, value in CASES[name](keras).items()})
    np.savez_compressed(HERE / "keras.npz", **{**found, "version": keras.__version__})


if __name__ == "__main__":
    main()
