"""What a server's start waits for (issue 6)."""
