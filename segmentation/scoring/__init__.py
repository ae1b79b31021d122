"""How good labels are: against truth, between people, between engines."""
