"""Exceptions to the Content-Security-Policy, each for one kind of page."""

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update

# Plotly writes style elements and attributes while it draws. Scripts stay as strict as elsewhere.
charts_page = csp_update({"style-src": [UNSAFE_INLINE]})
