"""What the lake's rows must be: rules as data, and the checkpoint that runs them."""
