"""Recordings of the output of a command, as animated pictures."""
