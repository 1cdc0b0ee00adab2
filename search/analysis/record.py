"""Offers the reader of stored analyses under the name that earlier documentation gives it."""

from search.records import read_analysis as read_analysis
