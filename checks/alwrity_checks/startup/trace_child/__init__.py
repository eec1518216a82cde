"""What runs inside a traced process. This folder is put on its PYTHONPATH; nothing here imports the rest."""
