"""The `inbetween` command."""
