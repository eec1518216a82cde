"""What the experiment of issue 5 puts its targets through."""
