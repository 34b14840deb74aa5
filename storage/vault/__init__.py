"""storage.vault: backup, restore, verify, repair."""
