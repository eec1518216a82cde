"""What every target of issue 3 is put through: the stage, the schedules, the targets and the scenarios."""
