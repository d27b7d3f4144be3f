"""The posterior as users meet it: tables, predictions, draws, exports, files."""
