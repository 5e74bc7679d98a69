"""Images, videos and animations, read and written."""
