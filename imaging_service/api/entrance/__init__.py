"""What a request passes before its route: who is at the other end, who asks, what that may do."""
