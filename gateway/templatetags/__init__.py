"""Words and numbers of the gateway for templates."""
