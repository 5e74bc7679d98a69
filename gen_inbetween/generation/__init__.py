"""From two keyframes to a clip and its manifest."""
