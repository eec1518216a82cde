"""Diagnosis of a browser capture (HAR): why API requests were refused.

text -> reader -> request -> causes -> capture -> results: bytes, entries, one request's token, causes with counts, the
whole, and its verdict.
"""

from __future__ import annotations

from alwrity_checks.auth.har.capture import Capture, Doubt, findings, open_capture, read_capture
from alwrity_checks.auth.har.results import results

__all__ = ["Capture", "Doubt", "findings", "open_capture", "read_capture", "results"]
