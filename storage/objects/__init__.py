"""storage.objects."""
