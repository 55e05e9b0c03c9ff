"""Making embedding models: fetch the weights, write the graph, quantize it, and measure what was lost."""
