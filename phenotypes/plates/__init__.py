"""Cells ► wells ► quality control ► responses of one plate."""
