"""Whether fields, wells and plates can be believed: arrival, focus, vehicle, place and time."""
