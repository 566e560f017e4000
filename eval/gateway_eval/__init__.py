"""Tests any gateway host; brings a provider to test against."""
