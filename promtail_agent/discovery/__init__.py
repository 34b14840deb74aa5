"""Which targets are there? Static, of files, of an HTTP address, of Kubernetes."""
