"""Unit tests of rules: what they find in lines that a test file gives."""
