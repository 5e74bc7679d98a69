"""The tabs of the page; each has TAB, its name in elements, and build(page)."""
