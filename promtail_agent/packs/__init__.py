"""How are the neighbours' logs read? Packs: data in folders, loaded, checked and put to work."""
