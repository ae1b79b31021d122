"""Commands of screens: fit and read one, order one from a service, plan the next."""
