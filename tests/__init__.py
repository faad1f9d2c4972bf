"""Tests. Folders and file names mirror the code; `./run test` runs them against real servers."""
