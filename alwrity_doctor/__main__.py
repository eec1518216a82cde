"""The process: `alwrity-doctor`, and `python -m alwrity_doctor`."""

import sys

from alwrity_doctor import __version__

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process and return its exit code."""
    if sys.argv[1:2] == ["--version"]:
        # Answered here because importing typer takes longer than everything else `--version` does.
        try:
            sys.stdout.write(f"alwrity-doctor {__version__}\n")
            sys.stdout.flush()
        except (OSError, AttributeError):
            pass  # stdout is full, gone or closed: what to say to that, everything below knows
        else:
            return 0
    from alwrity_doctor.cli.process import execute

    return execute(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
