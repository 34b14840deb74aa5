"""What do packs bring to who looks at logs? Questions and rules; proving packs is `narfi.packs`."""
