"""Rule groups, rules and alerts over HTTP."""
