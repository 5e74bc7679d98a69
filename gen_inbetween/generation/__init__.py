"""Generation: from two keyframes to a clip and its manifest."""
