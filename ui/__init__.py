"""The page: what a browser shows of the logs without other programs; `src/` is built to `dist/`."""
