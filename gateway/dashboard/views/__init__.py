"""The pages of customers and visitors: each view translates, what it shows is read elsewhere."""
