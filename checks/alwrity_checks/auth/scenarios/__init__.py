"""What every target of issue 1 is put through: the stage, the targets, the forgeries and the scenarios."""
