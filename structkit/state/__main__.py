"""Print what is in files: `python -m structkit.state FILE ...`."""

import io
import os
import sys

from structkit.errors import StateError
from structkit.state import inspect


def main(files: list[str]) -> int:
    """0 when the tables of all files are printed, 1 after the error for one that cannot be read, 2 without a file.

    Args:
        files: their names.
    """
    if not files or files[0].startswith("-"):
        print("usage: python -m structkit.state FILE ...", file=sys.stderr)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every terminal has all letters.
        sys.stdout.reconfigure(errors="backslashreplace")
    for number, file in enumerate(files):
        try:
            print("\n" * (number > 0) + str(inspect(file)), flush=True)
        except StateError as error:
            print(error, file=sys.stderr)
            return 1
        except OSError as error:
            # As of `head`, which has read enough. What is left to write would be tried again at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                print(f"cannot print: {error.strerror}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
