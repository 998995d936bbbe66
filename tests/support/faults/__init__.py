"""A full stack to be hurt: traffic to send through it, kills, and what is so afterwards."""
