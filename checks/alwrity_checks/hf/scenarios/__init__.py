"""What the experiment of issue 2 puts its targets through."""
