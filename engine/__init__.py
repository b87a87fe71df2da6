"""The simulator: brokers, links, actors and the ledger on one simulated clock. No Django, no wall clock."""

RULES = 7
"""The rules that a run was made with. Goes up whenever the digest of a shipped scenario changes."""
