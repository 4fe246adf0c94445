"""What the gateway costs, measured beside a bare pass-through: `python -m bench`."""
