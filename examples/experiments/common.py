"""What the experiments share: their options, Fashion-MNIST, a table, and a picture's look."""

import argparse
import time
from pathlib import Path

import matplotlib
import numpy as np
from tabulate import tabulate

from fastnn import datasets

matplotlib.use("Agg")  # pictures are saved, not shown
matplotlib.rcParams.update(
    {
        "figure.dpi": 100,
        "font.size": 9,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "legend.fontsize": 8,
    }
)


def options(description):
    """What the command line says: `quick`, `out` and `seed`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a few seconds: too short to conclude anything from")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the picture; default: here")
    parser.add_argument("--seed", type=int, default=42, help="the first one; default: %(default)s")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    args.started = time.perf_counter()
    return args


def fashion(training, validation=5000):
    """Fashion-MNIST as rows of 784 floats in [0, 1]: three pairs of images and labels.

    The first `training` images train; the last `validation` of the 60,000 choose settings; the test images are looked
    at once, at the end.
    """
    (x, y), test = datasets.fashion_mnist.load_data()
    parts = (x[:training], y[:training]), (x[-validation:], y[-validation:]), test
    return [(images.reshape(-1, 784).astype(np.float32) / 255, labels) for images, labels in parts]


def show(title, headers, rows):
    """Print a table."""
    print(f"\n{title}\n{tabulate(rows, headers, tablefmt='github', disable_numparse=True)}")


def mean_and_deviation(values, digits=1, factor=100):
    """``87.3 ± 0.2``: of percentages, unless another factor is given."""
    values = factor * np.asarray(values)
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1) if len(values) > 1 else 0:.{digits}f}"


def save(figure, args, name):
    """Save the picture, and say where it is and how long everything took."""
    path = args.out / name
    figure.savefig(path)
    print(f"\n{path}, after {time.perf_counter() - args.started:.0f} s")
