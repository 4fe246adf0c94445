"""/api/auth and /api/keys: JSON in, one step of a room below, JSON out. It knows no `pages`."""
