"""Widgets that know nothing of jobs or studios."""
