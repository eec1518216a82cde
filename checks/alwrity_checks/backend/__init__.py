"""The user's checkout of ALwrity: where its backend is, what runs it, whether its files parse, who drives them."""
