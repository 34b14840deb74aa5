"""Benchmarks against any server that speaks Loki's push and query API."""
