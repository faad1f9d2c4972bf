"""Pure rules outside watching: quizzes, hours, ID numbers. No I/O, no clock, no randomness."""
