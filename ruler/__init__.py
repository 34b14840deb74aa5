"""What should be told to whom? Alerting and recording rules over the stored logs."""
