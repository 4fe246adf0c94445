"""Icons, moments and amounts of money for every template."""
