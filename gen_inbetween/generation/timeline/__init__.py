"""What a clip is made between and of: keyframes and their places, what is kept, where it starts."""
