"""Sites that send signed estimates while cells and pixels stay where they are."""
