"""Files of settings in the formats that tools have, changed where they are told and nowhere else:
comments, order and what is somebody else's stay. Each module has one `put`, from text to text."""
