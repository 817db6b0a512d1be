"""Measure how good a model is: metrics, confidence intervals, segments of users, gains over the baselines.

May import: base, features.
"""
