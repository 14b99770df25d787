"""Masks drawn over photographs of bare faces, worn in every way."""
