"""A replay's result as one HTML page that needs nothing else: plots as inline SVG, light and dark."""
