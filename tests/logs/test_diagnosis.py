"""What the diagnosis says beside the causes: what failed first, what is harmless, what is unknown; nothing secret."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.logs.first_failure import graph
from alwrity_checks.logs.signatures import read_signatures
from alwrity_checks.logs.suggest import suggestion, suggestions
from alwrity_checks.logs.triage import Sureness
from tests.support.reading_logs import fragment, triage_of

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.logs.triage import Triage


def joined(path: Path, *names: str) -> Path:
    """Write several fragments one behind the other."""
    path.write_bytes(b"".join(fragment(name).read_bytes() for name in names))
    return path


def test_the_order_is_that_of_the_start(tmp_path: Path) -> None:
    """What a process comes to use first is named, not what has the most lines; what is independent is said to be."""
    triage = triage_of(fragment("mixed_first_failure"))
    first = triage.first_failure
    assert first is not None
    assert (first.subsystem, first.cause, first.sure) == ("auth", "auth-stale", Sureness.CERTAIN)
    assert [(one.subsystem, one.depends) for one in first.followed] == [("provider", False), ("index", False)]
    assert any("had been let in" in one.because for one in first.followed)
    del tmp_path


def test_a_missing_package_is_behind_the_refusals(tmp_path: Path) -> None:
    """A fault of the configuration is told apart from the code's, and what depends on it follows from it."""
    triage = triage_of(joined(tmp_path / "a.log", "auth_no_package", "models_offline"))
    assert triage.first_failure is not None
    assert triage.first_failure.subsystem == "configuration"
    assert triage.first_failure.nature == "configuration"
    assert [(one.subsystem, one.depends) for one in triage.first_failure.followed] == [("model", False)]


def test_an_index_behind_a_provider_is_independent_of_it(tmp_path: Path) -> None:
    """Indexing runs after generation, with built-in tasks where that failed."""
    triage = triage_of(joined(tmp_path / "a.log", "hf_wrong_base_old", "txtai_model"))
    assert triage.first_failure is not None
    (followed,) = triage.first_failure.followed
    assert (followed.subsystem, followed.depends) == ("index", False)
    assert "built-in tasks" in followed.because


def test_an_earlier_failure_makes_the_claim_less_sure(tmp_path: Path) -> None:
    """Where a later subsystem failed before, the evidence says so."""
    path = tmp_path / "a.log"
    later = fragment("auth_pair_alone").read_text("utf-8").replace("06:30:", "09:30:")
    path.write_text(fragment("hf_credits").read_text("utf-8") + later, "utf-8")
    first = triage_of(path).first_failure
    assert first is not None
    assert (first.subsystem, first.sure) == ("auth", Sureness.LIKELY)
    assert any("failed earlier" in one for one in first.evidence)


def test_streams_whose_dates_are_inferred_have_no_sure_order() -> None:
    """Between two files without dates the order is said to be uncertain."""
    first = triage_of(fragment("auth_pair_alone"), fragment("txtai_model")).first_failure
    assert first is not None
    assert first.sure is Sureness.LIKELY
    assert any("uncertain" in one for one in first.evidence)


def test_a_reload_is_never_the_first_failure() -> None:
    """It is counted apart, with what it resets."""
    triage = triage_of(fragment("reload"))
    assert triage.first_failure is None
    assert triage.groups == ()
    assert [(one.signature, one.rule) for one in triage.harmless] == [("logs.reload", "LOG002")]
    assert any("emptied the memory" in note for note in triage.notes)


def test_the_graph_names_subsystems_that_exist() -> None:
    """Edges and causes are between things that are there."""
    whole = graph()
    for of, on in (*whole.edges, *whole.independent):
        assert {of, on} <= whole.phases.keys()
    from alwrity_checks.logs.causes import texts

    assert whole.configuration <= texts().keys()
    assert {text.issue for text in texts().values()} <= set(whole.issues)


def unknown(tmp_path: Path) -> Triage:
    """Return the triage of trouble that nobody knows."""
    path = tmp_path / "a.log"
    lines = [
        f"06:{n:02}:00 | ERROR    | services.billing:pay:{40 + n} - Cannot charge 'card {n}' of user_2abcdefghijk{n}0 "
        f"[plan+{n}] at https://pay.example/x/{n}?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{n}In0.abcdefghijk: declined\n"
        for n in range(40)
    ]
    lines += ["Traceback (most recent call last):\n", '  File "x.py", line 1, in f\n']
    lines += ["services.billing.CardError: declined by bank 17\n"]
    path.write_text("".join(lines), "utf-8")
    return triage_of(path)


def test_unknown_trouble_is_one_cluster(tmp_path: Path) -> None:
    """What varies is masked; a traceback's last line is trouble as well."""
    triage = unknown(tmp_path)
    assert [one.count for one in triage.clusters] == [40, 1]
    assert triage.clusters[0].module == "services.billing"
    assert triage.clusters[1].module == "services.billing.CardError"
    assert triage.unknown_lines == 41


def test_a_suggested_signature_matches_its_cluster(tmp_path: Path) -> None:
    """Put into a signatures.toml it is read, and matches each line of the cluster and nothing of the others."""
    triage = unknown(tmp_path)
    text = (tmp_path / "a.log").read_bytes().splitlines()
    for cluster in triage.clusters:
        (signature,) = read_signatures(suggestion(cluster, "logs.new"), 4)
        found = [line for line in text if signature.literal in line and re.search(signature.pattern or b"", line)]
        assert len(found) == cluster.count
        assert tomllib.loads(suggestion(cluster))["signature"][0]["samples"] == [cluster.sample]


def test_drafts_have_names_and_spaces_of_their_own(tmp_path: Path) -> None:
    """Two forms that begin alike get two ids; no draft matches a line that lacks its literal."""
    path = tmp_path / "a.log"
    path.write_text(
        "06:00:00 | ERROR    | a.b:f:1 - Cannot reach the quota store 17 at once\n"
        "06:00:01 | ERROR    | a.b:f:1 - Cannot reach the quota store 17, gave up\n",
        "utf-8",
    )
    drafts = read_signatures(suggestions(triage_of(path).clusters), 4)
    assert len({one.id for one in drafts}) == len(drafts) == 2
    for one in drafts:
        assert not re.search(one.pattern, b"Cannot  reach the quota store 17 at once, gave up")


def test_a_client_is_in_no_sample(tmp_path: Path) -> None:
    """A sample goes wherever the report goes; a client's address does not."""
    path = tmp_path / "a.log"
    path.write_text("06:00:00 | ERROR    | a.b:f:1 - Odd trouble (client_ip=203.0.113.9, caller=x)\n", "utf-8")
    whole = triage_of(path, fragment("auth_pair_alone"))
    samples = [*(one.sample for one in whole.groups), *(one.sample for one in whole.clusters)]
    assert any("client_ip=…" in one for one in samples)
    assert not any("client_ip=1" in one or "203.0.113.9" in one for one in samples)


def test_the_cause_with_most_incidents_leads_unless_it_is_only_possible(tmp_path: Path) -> None:
    """One certain refusal does not speak for a hundred that are likely to have another reason."""
    path = joined(tmp_path / "a.log", *["auth_pair_alone"] * 5, "auth_unknown_key", "auth_null_token")
    first = triage_of(path).first_failure
    assert first is not None
    assert first.cause == "auth-stale"


def test_without_times_nothing_ends_at_none() -> None:
    """A line without a time is counted in the timeline, and no end is made up for it."""
    events = triage_of(fragment("reload"), fragment("models_hub")).timeline
    assert not any("None" in one.text for one in events)


@pytest.mark.parametrize(
    "message", ["a [b] {c} (d) *e* f+ g? h|i $j ^k \\l .m", "weiß nicht: „quoted“", "x" * 300, "100 %"]
)
def test_a_suggestion_can_be_read_whatever_the_line_holds(tmp_path: Path, message: str) -> None:
    """Signs that mean something in an expression, or in TOML, stand for themselves."""
    path = tmp_path / "a.log"
    path.write_text(f"06:00:00 | ERROR    | a.b:f:1 - {message} 'q' of 12 parts\n", "utf-8")
    (cluster,) = triage_of(path).clusters
    (signature,) = read_signatures(suggestion(cluster), 4)
    line = path.read_bytes().splitlines()[0]
    assert signature.literal in line
    assert re.search(signature.pattern or re.escape(signature.literal), line)


def test_nothing_secret_leaves(tmp_path: Path) -> None:
    """Tokens, keys, addresses and users are in no part of the diagnosis; the secrets are counted."""
    path = tmp_path / "a.log"
    token = "eyJhbGciOiJSUzI1NiIsImtpZCI6Imluc18xIn0.eyJzdWIiOiJ1c2VyXzJhYmMifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
    record, middleware = "06:00:00 | {:<8} | {} - {}", "middleware.auth_middleware:verify_token:1"
    lines = (
        record.format(
            "ERROR",
            middleware,
            "AUTHENTICATION ERROR: No credentials provided for authenticated endpoint: GET /u/user_2abcdefghijklmnop"
            f" (client_ip=10.1.2.3, auth_header_received=YES, auth_header_value=Bearer {token[:43]}..., user_agent=x)",
        ),
        record.format(
            "DEBUG",
            middleware,
            "Unverified token accepted (dev) for user: jane.doe@example.com (ID: user_2abcdefghijklmnop)",
        ),
        record.format(
            "ERROR", "a.b:f:1", "no call with hf_AbCdEfGhIjKlMnOpQrStUvWx0123456789 for jane.doe@example.com"
        ),
        f'INFO:     10.1.2.3:40000 - "GET /api/media?token={token} HTTP/1.1" 401 Unauthorized',
    )
    path.write_text("\n".join(lines) + "\n", "utf-8")
    triage = triage_of(path)
    shown = repr(asdict(triage))
    for secret in (token, token[:30], "hf_AbCdEf", "jane.doe", "user_2abcdefghijklmnop", "10.1.2.3'"):
        assert secret not in shown, secret
    assert sum(count for _, count in triage.secrets) >= 3


def test_an_empty_log_is_no_trouble(tmp_path: Path) -> None:
    """Nothing was read, and nothing is claimed."""
    path = tmp_path / "empty.log"
    path.write_bytes(b"")
    triage = triage_of(path)
    assert (triage.groups, triage.causes, triage.first_failure, triage.clusters) == ((), (), None, ())


def test_a_traceback_with_drawn_boxes_is_told_by_its_last_line(tmp_path: Path) -> None:
    """The record and the exception of a loguru traceback are trouble; what is drawn between them is not, nor shown."""
    path = tmp_path / "a.log"
    lines = (
        "06:00:00 | ERROR    | services.billing:pay:40 - payment failed",
        "Traceback (most recent call last):",
        "",
        '> File "/srv/alwrity/backend/services/billing.py", line 40, in pay',
        "    charge(card)",
        "    │      └ Card(number='4111')",
        "    └ <function charge at 0x7f2a>",
        "",
        "services.billing.CardError: declined",
        "",
    )
    path.write_text("\n".join(lines), "utf-8")
    triage = triage_of(path)
    assert sorted((one.level, one.module) for one in triage.clusters) == [
        ("ERROR", "services.billing"),
        ("exception", "services.billing.CardError"),
    ]
    assert "4111" not in repr(asdict(triage))
