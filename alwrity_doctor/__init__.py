"""The face of alwrity-doctor: the command line, the gate, the report formats and the tracker's tools."""

# Nothing is imported here: even `typing` is a third of what `--version` may cost.

__all__ = ["__version__"]

__version__ = "0.1.0"
"""Equal to the distribution's version. Written down, because asking the metadata for it costs 20 ms of CPU."""
