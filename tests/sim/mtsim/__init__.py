"""Provider simulator of the mtrelay tests: see mtsim.py beside this package."""
