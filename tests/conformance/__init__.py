"""The recorded corpus: a data set, requests, and the answers of the recorded server."""
