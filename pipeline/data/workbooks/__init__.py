"""XLSX workbooks as rows of the texts that a person saw, read as a stream."""
