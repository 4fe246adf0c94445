"""Files of settings in the formats that tools have, changed where they are told and nowhere else:
comments, order and what is somebody else's stay. Each module has `read`, and `put` and `remove`,
from text to text."""
