"""The runtimes behind one seam: `interface.py`; one file for each."""
