"""The HTML doors: parse, call one use case, render."""
