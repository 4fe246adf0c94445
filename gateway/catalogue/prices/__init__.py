"""When a price comes into force, and who may say so. Money: gateway/corrections."""
