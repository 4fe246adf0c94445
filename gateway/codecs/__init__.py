"""One package a wire dialect: pure functions and two small machines, no I/O, no Django."""
