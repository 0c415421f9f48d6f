"""One panel a section of the sidebar."""
