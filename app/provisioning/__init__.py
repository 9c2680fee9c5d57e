"""Who has a synchronization with which mailbox: users, synchronizations, unlinking, and runs to watch."""
