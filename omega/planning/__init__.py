"""How much machinery a population of TVs needs, from costs measured on the user's own machine."""
