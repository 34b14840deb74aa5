"""How do logs of OpenTelemetry become streams? (reference/http-api.md §2)"""
