"""A confirmation: which finalists are trained again, how, and which student is the champion."""
