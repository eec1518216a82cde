"""`alwrity-doctor tracker new`: an entry of the catalogue from trouble that no signature knows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import check_writable
from alwrity_doctor.cli.tracker_change import DryRunOption, YesOption, asking, write
from alwrity_doctor.cli.tracker_file import FileOption, load_tracker
from alwrity_doctor.tracker_entry import entry_of, holder_of, next_number, title_of, with_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.logs.triage import ClusterFound

__all__ = ["new"]

_SHOWN = 10


def new(  # noqa: PLR0913 - each is an option
    *,
    from_triage: Annotated[
        list[str], typer.Option("--from-triage", metavar="LOG", help="The log that holds the lines; may be repeated.")
    ],
    form: Annotated[
        int, typer.Option("--cluster", metavar="N", min=1, help="Which of the unknown forms, the most frequent is 1.")
    ] = 1,
    title: Annotated[
        str | None, typer.Option("--title", help="The entry's title.  [default: the words that the lines share]")
    ] = None,
    file: FileOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Open an entry for lines of trouble that no signature knows, with every field of the catalogue.

    What a log cannot tell stays unknown. The entry is shown first; on a terminal you are asked, elsewhere it takes
    --yes. `triage LOG` lists the unknown forms, `triage LOG --suggest` drafts their signatures.
    """
    tracker = load_tracker(file)
    check_writable(tracker.path)
    cluster = _chosen(_clusters(from_triage), form)
    if (holder := holder_of(tracker, cluster)) is not None:
        raise ConfigurationError(
            f"issue {holder} has this signature already", "choose another form: --cluster N; or add to that entry"
        )
    before = tracker.path.read_bytes()
    names = [Path(log).name if log != "-" else "standard input" for log in from_triage]
    entry = entry_of(next_number(tracker), title or title_of(cluster), cluster, names, datetime.now(UTC).date())
    lines = with_entry(before.decode("utf-8").split("\n"), entry)
    write(tracker.path, before, "\n".join(lines), asking=asking(dry_run=dry_run, yes=yes))


def _clusters(logs: Sequence[str]) -> tuple[ClusterFound, ...]:
    from alwrity_doctor.cli.triage_run import clusters_in

    return clusters_in(logs)


def _chosen(clusters: Sequence[ClusterFound], number: int) -> ClusterFound:
    if not clusters:
        raise ConfigurationError(
            "every line of trouble in it is known", "alwrity-doctor triage LOG says which issues the lines belong to"
        )
    if number > len(clusters):
        listed = "; ".join(f"{n}: {title_of(one)}" for n, one in enumerate(clusters[:_SHOWN], 1))
        raise ConfigurationError(f"the log has {len(clusters)} unknown forms, not {number}", f"choose one: {listed}")
    return clusters[number - 1]
