"""The demo data: a simulated world of users, and its deliveries.

May import: data.
"""
