"""Style by example: painted keyframes, learnt in minutes, spread over a video.

Few-shot patch-based training (Texler et al., SIGGRAPH 2020). A small image-to-image network is trained on random
patches of one or more painted frames, and then translates every other frame by itself, in any order.
"""
