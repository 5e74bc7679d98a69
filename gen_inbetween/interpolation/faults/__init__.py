"""Faults of a clip, seen without a true one."""
