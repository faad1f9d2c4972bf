"""Xueshi's server. The floors are in ARCHITECTURE.md; imports only point down."""
