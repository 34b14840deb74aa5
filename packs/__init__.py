"""How are the neighbours' logs read and asked? Data, a folder a system (docs/packs.md)."""
