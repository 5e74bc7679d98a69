"""Object stores, wheels of a package index, and Ray clusters."""
