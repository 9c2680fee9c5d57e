"""Reconciling: what is wanted, what the ledger says, what is in the mailbox."""
