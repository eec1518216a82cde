"""The checks, experiments and runtime components of alwrity-doctor.

A backend imports a room (`alwrity_checks.auth`, ...) and gets the component alone: nothing here imports the
command line, typer or rich.
"""
