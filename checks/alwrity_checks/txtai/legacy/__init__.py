"""The fault of issue 3: the backend's index service, rebuilt small in its historical states, and what it runs on."""
