"""Datasets for others: a folder for the Hugging Face hub, tar shards for WebDataset, a spreadsheet for people."""
