"""The same facts in the forms that repositories ask for."""
