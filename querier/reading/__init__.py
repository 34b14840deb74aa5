"""What does a query read, and how much of it may it? The view, tenants, losses, limits."""
