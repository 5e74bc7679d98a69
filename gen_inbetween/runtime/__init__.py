"""Configuration, files, hashes, manifests, the hub, devices, processes."""
