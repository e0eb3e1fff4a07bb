"""The command line: ``fastnn demo``, ``freeze``, ``inspect``, ``export-c``, ``latency``, ``bench`` and ``info``."""

import argparse
import os
import sys

__all__ = ["main"]


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; by default those of this process.

    Returns
    -------
    int
        Exit status: 0 when all went well, 1 with a message on standard error when it did not, 130 when interrupted, 141
        when who reads the output (``| head``) has had enough. Wrong arguments leave through argparse: SystemExit with
        status 2.
    """
    args = _parser().parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()  # here, where it may fail
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed when Python ends
        return 141  # as a program that the signal SIGPIPE has ended
    except KeyboardInterrupt:
        print("\nfastnn: interrupted", file=sys.stderr)
        return 130
    except (ImportError, OSError, ValueError) as error:  # missing or damaged data, no network, a full disk, ...
        print(f"fastnn: {error}", file=sys.stderr)
        return 1


def _parser():
    from fastnn import __version__
    from fastnn.cli import bench, demo, export_c, freeze, inspect, latency

    parser = argparse.ArgumentParser(prog="fastnn", description="A compact dense-network engine for CPU.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (demo, freeze, inspect, export_c, latency, bench):
        command.add_parser(commands)
    info = commands.add_parser(
        "info",
        help="say which kernels, threads, compiler and versions are in use",
        description="Print what fastnn.show_config() prints: a bug report should have it.",
    )
    info.set_defaults(run=_info)
    return parser


def _info(args):
    import fastnn

    fastnn.show_config()
    return 0
