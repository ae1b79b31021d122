"""Processes: how many, with what limits, who holds the network, what is waited for."""
