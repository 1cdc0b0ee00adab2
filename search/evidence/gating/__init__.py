"""Checks finalists against the KPI gates."""
