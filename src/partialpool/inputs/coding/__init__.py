"""Columns of a design from columns of the data, and the recipe that recodes new rows."""
