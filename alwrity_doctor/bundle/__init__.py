"""A run to hand over: one archive with the report, what belongs to it, and a ledger of what was taken out.

manifest   what is in it, with hashes
ledger     the door: what comes in is cleaned there, and what was taken out is counted
archive    written whole or not at all
reading    an archive that somebody else may have made
"""
