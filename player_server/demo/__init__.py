"""The demo: a real course folder, its accounts, and the settings that make a short visit worth it."""
