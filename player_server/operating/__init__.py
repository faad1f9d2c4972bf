"""The operator's commands: serving with several processes, looking for what is wrong, backup and restore."""
