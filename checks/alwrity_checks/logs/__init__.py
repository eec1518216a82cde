"""Triage of backend logs: which issue a line speaks of, what came first, and what is not known yet."""
