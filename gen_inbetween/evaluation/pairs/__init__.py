"""Lists of keyframe pairs, and the clips they come from."""
