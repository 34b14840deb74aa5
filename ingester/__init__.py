"""Narfi."""
