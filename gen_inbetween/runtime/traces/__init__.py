"""What this package leaves in files and folders: labels on purpose, leftovers not."""
